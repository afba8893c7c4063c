# SPDX-License-Identifier: Apache-2.0
"""`driver-builds matrix`: what is known to work, kernels by drivers; with --run, found out."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds import request, store
from driver_builds.catalogue import load_drivers, load_netmap_pin, select_drivers
from driver_builds.cli import console, options
from driver_builds.cli.sizes import parse_size
from driver_builds.distributions import KernelPackages, known
from driver_builds.errors import ExitCode, UsageError
from driver_builds.matrix import choose, records, render
from driver_builds.matrix.cells import Matrix, build_row
from driver_builds.matrix.run import Progress, Reports, run_matrix
from driver_builds.plan import NETMAP
from driver_builds.release import parse_release

Kernels = Annotated[
    list[str],
    typer.Option(
        "--kernel",
        metavar="RELEASE",
        help="Kernel; give it once for each.",
        default_factory=list,
        show_default="the newest of every suite and flavour",
    ),
]
Drivers = Annotated[
    list[str],
    typer.Option(
        "--driver",
        metavar="NAME",
        help="Driver; give it once for each.",
        default_factory=list,
        show_default="all",
    ),
]
Run = Annotated[bool, typer.Option("--run", help="Build and test what is not known yet.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write one HTML page.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Also write driver-matrix.md and .json there.")
]


def matrix(
    kernel: Kernels,
    driver: Drivers,
    cache: options.Cache,
    jobs: options.Jobs,
    run: Run = False,
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    artifacts: options.Artifacts = Path("artifacts"),
    html: Html = None,
    output: Output = None,
    keep_bytes: options.KeepBytes = options.KEEP_BYTES,
    json: options.Json = False,
) -> None:
    """Print what is known of each kernel and driver: tested, loaded, absent, refused and why, or not run.

    With --run every kernel is built for and tested first; a run that was stopped goes on where it was. The exit
    status is 1 when a cell failed: a kernel that could not be built for, a module that failed its test.
    """
    with console.errors_reported(json):
        catalogue = known.load_known_kernels()
        releases = [parse_release(text).text for text in kernel] or _choose_releases(catalogue, cache, run)
        names = [one.name for one in select_drivers(driver or list(load_drivers()))]
        if run:
            bound = parse_size(keep_bytes)
            asked = request.BuildRequest(
                "",
                tuple(names),
                netmap_source,
                artifacts,
                cache,
                jobs,
                accept_netmap_tree,
                keep_bytes=bound,
            )
            reports = Reports(console.print_step, _report_guest, console.print_waiting, _report_kernel)
            run_matrix(releases, asked, reports)
        table = _build_matrix(releases, [NETMAP, *names], cache.absolute(), catalogue)
        _write_pages(table, html, output)
        console.print_result(render.render_json(table).rstrip() if json else render.render_text(table))
        if table.failed:
            raise typer.Exit(int(ExitCode.FAILED))


def _choose_releases(catalogue: dict[str, KernelPackages], cache: Path, run: bool) -> list[str]:
    chosen = [one.release.text for one in choose.choose_newest(catalogue.values())]
    if not run:
        chosen += [text for text in records.find_releases(cache) if text not in chosen]
    if not chosen:
        raise UsageError("no kernel is known here; give --kernel RELEASE")
    return chosen


def _build_matrix(
    releases: list[str], names: list[str], cache: Path, catalogue: dict[str, KernelPackages]
) -> Matrix:
    rows = tuple(
        build_row(records.load_record(text, cache, *choose.find_named(catalogue, text)), names)
        for text in releases
    )
    return Matrix(load_netmap_pin().commit, tuple(names), rows)


def _write_pages(table: Matrix, html: Path | None, output: Path | None) -> None:
    if html is not None:
        store.write_file(html, render.render_page("matrix.html", table))
    if output is not None:
        store.write_file(output / "driver-matrix.md", render.render_page("matrix.md", table))
        store.write_file(output / "driver-matrix.json", render.render_json(table))


def _report_guest(release: str, done: int, wanted: int, seconds: float) -> None:
    console.print_progress(f"guest     {release:<32} {seconds:6.1f} s, {done} of {wanted} drivers")


def _report_kernel(progress: Progress) -> None:
    console.print_progress(
        f"kernel    {progress.release:<32} {progress.seconds:6.1f} s, {progress.done} of {progress.wanted}, "
        f"about {progress.left_s / 60:.0f} min left"
    )
    if progress.error:
        console.print_progress(progress.error)
