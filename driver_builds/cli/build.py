# SPDX-License-Identifier: Apache-2.0
"""`driver-builds build`: netmap.ko and patched drivers for one kernel."""

from pathlib import Path

import typer

from driver_builds import request
from driver_builds.cli import console, options
from driver_builds.cli.sizes import parse_size, render_size
from driver_builds.errors import DriverBuildError, ExitCode
from driver_builds.plan import Step


def build(
    kernel: options.Kernel,
    driver: options.Drivers,
    cache: options.Cache,
    jobs: options.Jobs,
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    artifacts: options.Artifacts = Path("artifacts"),
    rebuild: options.Rebuild = False,
    keep_bytes: options.KeepBytes = options.KEEP_BYTES,
    json: options.Json = False,
) -> None:
    """Build netmap.ko and the patched drivers for a kernel.

    Writes DIR/RELEASE/ with the modules and manifest.json, whole or not at all, and prints `changed` or
    `unchanged`. A driver that fails is recorded in the manifest under `refused`, the others are built, and
    the exit status is 1.
    """
    timings: list[dict[str, object]] = []

    def report(step: Step, seconds: float, error: DriverBuildError | None) -> None:
        timings.append({"stage": step.stage, "subject": step.subject, "seconds": round(seconds, 3)})
        console.print_step(step, seconds, error)

    with console.errors_reported(json):
        asked = request.BuildRequest(
            kernel,
            tuple(driver),
            netmap_source,
            artifacts,
            cache,
            jobs,
            accept_netmap_tree,
            rebuild,
            parse_size(keep_bytes),
        )
        outcome = request.build(asked, report, console.print_waiting)
        if json:
            console.print_json(
                {
                    "changed": outcome.changed,
                    "release": kernel,
                    "artifacts": str(outcome.folder),
                    "manifest": outcome.manifest.model_dump(mode="json", by_alias=True),
                    "steps": timings,
                    "removed": [str(entry.path) for entry in outcome.removed],
                }
            )
        else:
            _print_outcome(outcome)
        if outcome.manifest.refused:
            raise typer.Exit(int(ExitCode.FAILED))


def _print_outcome(outcome: request.BuildOutcome) -> None:
    names = ", ".join(module.file for module in outcome.manifest.modules)
    console.print_result(f"{'changed' if outcome.changed else 'unchanged'}: {outcome.folder}: {names}")
    for entry in outcome.removed:
        console.print_progress(f"removed from the cache: {entry.path} ({render_size(entry.size_bytes)})")
    for refused in outcome.manifest.refused:
        log = f"; log: {outcome.folder / refused.log}" if refused.log else ""
        console.print_result(f"refused: {refused.name}: {refused.stage}: {refused.reason}{log}")
