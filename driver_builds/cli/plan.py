# SPDX-License-Identifier: Apache-2.0
"""`driver-builds plan`: what build would do, and nothing done."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from driver_builds import request
from driver_builds.catalogue import select_subsystems
from driver_builds.cli import console, options
from driver_builds.distributions import apt, mirrors


def plan(
    kernel: options.Kernels,
    driver: options.Drivers,
    cache: options.Cache,
    with_subsystem: options.With,
    without_subsystem: options.Without,
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    artifacts: options.Artifacts = Path("artifacts"),
    rebuild: options.Rebuild = False,
    mirror: options.Mirror = None,
    json: options.Json = False,
) -> None:
    """Print the steps `build` would take; nothing is built (netmap's source is read into the cache).

    For the kernels this program knows (data/kernels) it needs neither network nor cache.
    """
    with console.errors_reported(json):
        options.use_mirror(mirror)
        documents = []
        for release in dict.fromkeys(kernel):
            asked = request.BuildRequest(
                release,
                tuple(driver),
                netmap_source,
                artifacts,
                cache,
                accept_netmap_tree=accept_netmap_tree,
                rebuild=rebuild,
                subsystems=select_subsystems(with_subsystem, without_subsystem),
            )
            with request.prepared(asked, console.print_waiting) as ready:
                planned = ready
            documents.append(_describe(planned, cache))
            if not json:
                _print_plan(planned, len(kernel) > 1)
        if json:
            console.print_json(documents[0] if len(documents) == 1 else {"kernels": documents})


def _describe(planned: request.Prepared, cache: Path) -> dict[str, Any]:
    packages = [
        {
            **asdict(package),
            "url": mirrors.describe_url(package),
            "file": str(apt.get_package_path(package, cache)),
        }
        for package in planned.inputs.packages.all
    ]
    return {**asdict(planned.plan), "changes": planned.plan.changes, "packages": packages}


def _print_plan(planned: request.Prepared, headed: bool) -> None:
    if headed:
        console.print_result(f"kernel {planned.plan.release}")
    for step in planned.plan.steps:
        console.print_result(f"{step.stage:<9} {step.subject:<32} {step.detail}")
    for refusal in planned.plan.refused:
        console.print_result(f"refuse    {refusal.driver:<32} {refusal.stage}: {refusal.reason}")
