# SPDX-License-Identifier: Apache-2.0
"""`driver-builds fetch`: everything a build needs, so that the build itself needs no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from driver_builds import disk, request
from driver_builds.builders.choose import choose_builder
from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli import console, options
from driver_builds.cli.sizes import render_size
from driver_builds.distributions import KernelPackages, known, mirrors
from driver_builds.errors import ExitCode
from driver_builds.fetching import Fetched, Progress, fetch_all, plan_fetch
from driver_builds.netmap_source import load_netmap_tree
from driver_builds.release import parse_release
from driver_builds.vendors import parse_vendor_choice

Images = Annotated[bool, typer.Option("--images", help="Also what boots the kernels in a guest (`test`).")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Fetch the distributions' indexes anew first.")]
Tools = Annotated[bool, typer.Option("--tools/--no-tools", help="Make the chroots the builds need as well.")]


def fetch(
    kernel: options.Kernels,
    cache: options.Cache,
    method: options.Method,
    vendor_source: options.VendorSource,
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    vendor_releases: options.VendorReleases = None,
    accept_vendor_tree: options.AcceptVendorTree = False,
    images: Images = False,
    tools: Tools = True,
    refresh: Refresh = False,
    mirror: options.Mirror = None,
    json: options.Json = False,
) -> None:
    """Fetch all a build of these kernels needs: packages, compilers, and netmap's source if one is given.

    An interrupted download is gone on with by the next run. What cannot be fetched is named with URL, SHA-256
    and the place to put it by hand; everything else is fetched, and the exit status is 1.
    """
    with console.errors_reported(json):
        options.use_mirror(mirror)
        releases = [parse_release(text) for text in dict.fromkeys(kernel)]
        kernels = [known.read_kernel_packages(release, cache, refresh=refresh) for release in releases]
        if netmap_source:
            load_netmap_tree(netmap_source, cache, load_netmap_pin(), accept=accept_netmap_tree)
        choice = parse_vendor_choice(method, vendor_source, vendor_releases, accept_vendor_tree)
        for tree in request.load_vendor_trees(choice, (), cache.absolute()):
            console.print_progress(
                f"there     {tree.release.vendor} {tree.release.driver} {tree.release.version}"
            )
        with disk.used(cache, console.print_waiting):
            fetched = fetch_all(plan_fetch(kernels, images=images), cache, _print_fetched, _print_progress)
            builders = _prepare_builders(kernels, cache) if tools else []
        failed = [one for one in fetched if one.error is not None]
        if json:
            documents = [_describe(one) for one in fetched]
            console.print_json({"ok": not failed, "packages": documents, "builders": builders})
        else:
            size = render_size(sum(one.package.size_bytes for one in fetched if one.error is None))
            console.print_result(f"{len(fetched) - len(failed)} of {len(fetched)} packages there, {size}")
        if failed:
            raise typer.Exit(int(ExitCode.FAILED))


def _prepare_builders(kernels: Sequence[KernelPackages], cache: Path) -> list[str]:
    names = []
    for packages in kernels:
        builder = choose_builder(packages, cache, [])
        builder.prepare()
        console.print_progress(f"{packages.release.text}: {builder.name}: {builder.describe()}")
        names.append(builder.name)
    return list(dict.fromkeys(names))


def _print_fetched(one: Fetched) -> None:
    if one.error is not None:
        console.print_progress(f"FAILED    {one.error}")
    else:
        size = render_size(one.package.size_bytes)
        console.print_progress(f"{'there' if one.cached else 'fetched':<9} {one.package.file_name} ({size})")


def _print_progress(progress: Progress) -> None:
    if progress.total_bytes <= 0 or progress.done_bytes >= progress.total_bytes:
        return
    left = f", {progress.left_s:.0f} s left" if progress.left_s is not None else ""
    done, total = render_size(progress.done_bytes), render_size(progress.total_bytes)
    console.print_progress(f"          {done} of {total}{left}")


def _describe(one: Fetched) -> dict[str, Any]:
    return {
        "name": one.package.name,
        "version": one.package.version,
        "sha256": one.package.sha256,
        "size_bytes": one.package.size_bytes,
        "url": mirrors.describe_url(one.package),
        "file": str(one.file),
        "cached": one.cached,
        "error": None if one.error is None else one.error.describe(),
    }
