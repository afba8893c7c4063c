# SPDX-License-Identifier: Apache-2.0
"""`driver-builds refresh`: what the archives have now, as data."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.distributions import KernelPackages, known
from driver_builds.errors import ConfigError, DriverBuildError
from driver_builds.hardware import read_pci_table, render_pci_table
from driver_builds.refresh import refresh_kernels

Folder = Annotated[
    Path | None,
    typer.Option(
        "--into", metavar="DIR", help="Where RELEASE.json goes.", show_default="the package's own data"
    ),
]
Pci = Annotated[
    bool,
    typer.Option(
        "--pci", help="Instead write the table of PCI devices from the newest known kernel's modules."
    ),
]
Count = Annotated[int, typer.Option("--count", min=1, help="Kernels of each series and flavour.")]


def refresh(
    cache: options.Cache,
    mirror: options.Mirror = None,
    into: Folder = None,
    count: Count = 2,
    pci: Pci = False,
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
        folder = into or known.get_data_folder()
        written = (
            [_refresh_pci(cache, folder.parent)] if pci else refresh_kernels(cache, folder, count, report)
        )
        if json:
            console.print_json({"written": [str(path) for path in written]})
        else:
            console.print_result(
                f"{len(written)} files written to {written[0].parent if written else folder}"
            )


def _refresh_pci(cache: Path, folder: Path) -> Path:
    kernels = known.load_known_kernels().values()
    plain = [one for one in kernels if one.release.flavour == "amd64" and one.release.featureset is None]
    if not plain:
        raise ConfigError("driver_builds/data/kernels: no kernel is known; run refresh without --pci first")
    path = folder / "pci.toml"
    path.write_text(render_pci_table(read_pci_table(plain[-1], cache)), "utf-8")
    return path
