# SPDX-License-Identifier: Apache-2.0
"""`driver-builds build`: netmap.ko and patched drivers for one kernel or several."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from driver_builds import request
from driver_builds.catalogue import select_subsystems
from driver_builds.cli import console, options
from driver_builds.cli.sizes import parse_size, render_size
from driver_builds.errors import DriverBuildError, ExitCode
from driver_builds.plan import Step
from driver_builds.vendors import parse_vendor_choice


def build(
    kernel: options.Kernels,
    driver: options.Drivers,
    cache: options.Cache,
    jobs: options.Jobs,
    with_subsystem: options.With,
    without_subsystem: options.Without,
    method: options.Method,
    vendor_source: options.VendorSource,
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    vendor_releases: options.VendorReleases = None,
    accept_vendor_tree: options.AcceptVendorTree = False,
    artifacts: options.Artifacts = Path("artifacts"),
    rebuild: options.Rebuild = False,
    keep_bytes: options.KeepBytes = options.KEEP_BYTES,
    mirror: options.Mirror = None,
    debug_symbols: options.DebugSymbols = False,
    json: options.Json = False,
) -> None:
    """Build netmap.ko and the patched drivers for a kernel, or for several one after the other.

    Writes DIR/RELEASE/ with the modules and manifest.json, whole or not at all, and prints `changed` or
    `unchanged`. A driver that fails is recorded in the manifest under `refused`, the others are built, and
    the exit status is 1. So it is when one of several kernels fails: the others are built.
    """
    with console.errors_reported(json):
        options.use_mirror(mirror)
        asked = request.BuildRequest(
            "",
            tuple(driver),
            netmap_source,
            artifacts,
            cache,
            jobs,
            accept_netmap_tree,
            rebuild,
            parse_size(keep_bytes),
            debug_symbols,
            subsystems=select_subsystems(with_subsystem, without_subsystem),
            vendors=parse_vendor_choice(method, vendor_source, vendor_releases, accept_vendor_tree),
        )
        if len(kernel) == 1:
            document, code = _build(replace(asked, release=kernel[0]), json)
        else:
            document, code = _build_all(asked, kernel, json)
        if json:
            console.print_json(document)
        if code is not ExitCode.OK:
            raise typer.Exit(int(code))


def _build_all(
    asked: request.BuildRequest, kernels: list[str], json: bool
) -> tuple[dict[str, Any], ExitCode]:
    documents = []
    worst = ExitCode.OK
    for release in dict.fromkeys(kernels):
        console.print_progress(f"kernel {release}")
        try:
            document, code = _build(replace(asked, release=release), json)
        except DriverBuildError as error:
            console.print_progress(f"driver-builds: kernel {release}: {error}")
            document, code = {"release": release, "error": error.describe()}, error.exit_code
        documents.append(document)
        worst = worst if worst is not ExitCode.OK else code
    return {"kernels": documents}, worst


def _build(asked: request.BuildRequest, json: bool) -> tuple[dict[str, Any], ExitCode]:
    """The result as a document, also printed unless `json`; and the exit code."""
    timings: list[dict[str, object]] = []

    def report(step: Step, seconds: float, error: DriverBuildError | None) -> None:
        timings.append({"stage": step.stage, "subject": step.subject, "seconds": round(seconds, 3)})
        console.print_step(step, seconds, error)

    outcome = request.build(asked, report, console.print_waiting)
    if not json:
        _print_outcome(outcome)
    document = {
        "changed": outcome.changed,
        "release": asked.release,
        "artifacts": str(outcome.folder),
        "manifest": outcome.manifest.model_dump(mode="json", by_alias=True),
        "steps": timings,
        "removed": [str(entry.path) for entry in outcome.removed],
    }
    return document, ExitCode.FAILED if outcome.manifest.refused else ExitCode.OK


def _print_outcome(outcome: request.BuildOutcome) -> None:
    names = ", ".join(module.file for module in outcome.manifest.modules)
    console.print_result(f"{'changed' if outcome.changed else 'unchanged'}: {outcome.folder}: {names}")
    for entry in outcome.removed:
        console.print_progress(f"removed from the cache: {entry.path} ({render_size(entry.size_bytes)})")
    for refused in outcome.manifest.refused:
        log = f"; log: {outcome.folder / refused.log}" if refused.log else ""
        console.print_result(f"refused: {refused.name}: {refused.stage}: {refused.reason}{log}")
