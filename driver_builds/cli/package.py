# SPDX-License-Identifier: Apache-2.0
"""`driver-builds package`: finished modules as Debian packages."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli import console, options
from driver_builds.errors import UsageError
from driver_builds.manifest import FILE_NAME
from driver_builds.packages import modules
from driver_builds.packages.write import Written, write_package
from driver_builds.release import parse_release

Kernels = Annotated[
    list[str] | None,
    typer.Option("--kernel", metavar="RELEASE", help="Kernel; give it once for each. All that are built."),
]
Drivers = Annotated[
    list[str] | None, typer.Option("--driver", metavar="NAME", help="Driver to put in. All that are built.")
]
Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the packages go.")]
Revision = Annotated[
    int, typer.Option("--revision", min=1, help="Raise it to have apt prefer a package to an earlier one.")
]


def package(
    kernel: Kernels = None,
    driver: Drivers = None,
    artifacts: options.Artifacts = Path("artifacts"),
    output: Output = Path("packages"),
    revision: Revision = 1,
    json: options.Json = False,
) -> None:
    """Make a package of each kernel's modules, for apt to install; installing loads nothing.

    The same modules give the same bytes. Prints `changed` or `unchanged` for each package.
    """
    with console.errors_reported(json):
        pin = load_netmap_pin()
        written = []
        for folder in find_folders(artifacts, kernel or []):
            chosen = modules.choose_modules(folder, driver or [])
            written.append(
                write_package(modules.build_package(chosen, pin, revision), output, pin.committed_s)
            )
        print_written(written, json)


def find_folders(artifacts: Path, kernels: list[str]) -> list[Path]:
    """The artifacts directory of each of `kernels`, or all there are; raises UsageError when there is none."""
    if kernels:
        return [artifacts / parse_release(text).text for text in dict.fromkeys(kernels)]
    found = sorted(path.parent for path in artifacts.glob(f"*/{FILE_NAME}"))
    if not found:
        raise UsageError(
            f"{artifacts}: holds no artifacts; run driver-builds build first, or give --artifacts"
        )
    return found


def print_written(written: list[Written], as_json: bool) -> None:
    """What was written, and what was there already."""
    if as_json:
        packages = [
            {"file": str(one.file), "version": one.version, "sha256": one.sha256, "changed": one.changed}
            for one in written
        ]
        console.print_json({"changed": any(one.changed for one in written), "packages": packages})
        return
    for one in written:
        console.print_result(f"{'changed' if one.changed else 'unchanged'}: {one.file}")
