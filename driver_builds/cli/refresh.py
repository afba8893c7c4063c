# SPDX-License-Identifier: Apache-2.0
"""`driver-builds refresh`: what the archives have now, as data."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.distributions import KernelPackages, known
from driver_builds.errors import DriverBuildError
from driver_builds.refresh import refresh_kernels

Folder = Annotated[
    Path | None,
    typer.Option(
        "--into", metavar="DIR", help="Where RELEASE.json goes.", show_default="the package's own data"
    ),
]
Count = Annotated[int, typer.Option("--count", min=1, help="Kernels of each series and flavour.")]


def refresh(
    cache: options.Cache,
    mirror: options.Mirror = None,
    into: Folder = None,
    count: Count = 2,
    json: options.Json = False,
) -> None:
    """Fetch the package indexes anew and write down the kernels of all distribution releases.

    `plan` and `build` take a kernel's packages from there, so that they need no index and stay the same.
    """

    def report(packages: KernelPackages, problem: DriverBuildError | None) -> None:
        state = "known, but this mirror lacks some of it" if problem else "known"
        console.print_progress(f"{packages.distribution}: {packages.release.text}: {state}")

    with console.errors_reported(json):
        options.use_mirror(mirror)
        written = refresh_kernels(cache, into or known.get_data_folder(), count, report)
        if json:
            console.print_json({"written": [str(path) for path in written]})
        else:
            console.print_result(f"{len(written)} kernels written to {into or known.get_data_folder()}")
