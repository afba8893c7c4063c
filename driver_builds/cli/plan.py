# SPDX-License-Identifier: Apache-2.0
"""`driver-builds plan`: what build would do, and nothing done."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from driver_builds import request
from driver_builds.catalogue import group_methods, select_subsystems
from driver_builds.cli import console, options
from driver_builds.distributions import apt, mirrors
from driver_builds.vendors import parse_vendor_choice


def plan(
    kernel: options.Kernels,
    driver: options.Drivers,
    cache: options.Cache,
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
                vendors=parse_vendor_choice(method, vendor_source, vendor_releases, accept_vendor_tree),
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
    methods = {driver.name: {"method": driver.method, "why": driver.why} for driver in planned.inputs.drivers}
    changes = planned.plan.changes
    return {**asdict(planned.plan), "changes": changes, "methods": methods, "packages": packages}


def _print_plan(planned: request.Prepared, headed: bool) -> None:
    if headed:
        console.print_result(f"kernel {planned.plan.release}")
    for step in planned.plan.steps:
        console.print_result(f"{step.stage:<9} {step.subject:<32} {step.detail}")
    refused = {refusal.driver for refusal in planned.plan.refused}
    for method, why, names in group_methods(
        driver for driver in planned.inputs.drivers if driver.name not in refused
    ):
        console.print_result(f"{method:<9} {' '.join(names)}: {why}")
    for refusal in planned.plan.refused:
        console.print_result(f"refuse    {refusal.driver:<32} {refusal.stage}: {refusal.reason}")
