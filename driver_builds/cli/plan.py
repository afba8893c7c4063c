# SPDX-License-Identifier: Apache-2.0
"""`driver-builds plan`: what build would do, and nothing done."""

from dataclasses import asdict
from pathlib import Path

from driver_builds import request
from driver_builds.cli import console, options


def plan(
    kernel: options.Kernel,
    driver: options.Drivers,
    cache: options.Cache,
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    artifacts: options.Artifacts = Path("artifacts"),
    rebuild: options.Rebuild = False,
    json: options.Json = False,
) -> None:
    """Print the steps `build` would take; nothing is built (netmap's source is read into the cache)."""
    with console.errors_reported(json):
        asked = request.BuildRequest(
            kernel,
            tuple(driver),
            netmap_source,
            artifacts,
            cache,
            accept_netmap_tree=accept_netmap_tree,
            rebuild=rebuild,
        )
        with request.prepared(asked, console.print_waiting) as ready:
            planned = ready.plan
        if json:
            console.print_json({**asdict(planned), "changes": planned.changes})
            return
        for step in planned.steps:
            console.print_result(f"{step.stage:<9} {step.subject:<32} {step.detail}")
        for refusal in planned.refused:
            console.print_result(f"refuse    {refusal.driver:<32} {refusal.stage}: {refusal.reason}")
