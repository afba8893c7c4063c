# SPDX-License-Identifier: Apache-2.0
"""`driver-builds package`: finished modules as Debian packages."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli import console, options
from driver_builds.errors import UsageError
from driver_builds.manifest import FILE_NAME
from driver_builds.netmap_source import load_netmap_tree
from driver_builds.packages import dkms, modules, tools
from driver_builds.packages.deb import Deb
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


class Kind(StrEnum):
    """What can be packaged."""

    MODULES = "modules"
    TOOLS = "tools"
    HEADERS = "headers"
    DKMS = "dkms"


Kinds = Annotated[
    list[Kind] | None,
    typer.Option("--kind", help="What to package; once for each. Modules when it is not given."),
]


def package(
    cache: options.Cache,
    kernel: Kernels = None,
    driver: Drivers = None,
    kind: Kinds = None,
    artifacts: options.Artifacts = Path("artifacts"),
    output: Output = Path("packages"),
    netmap_source: options.NetmapSource = None,
    accept_netmap_tree: options.AcceptTree = False,
    revision: Revision = 1,
    json: options.Json = False,
) -> None:
    """Make packages for apt: of each kernel's modules, of netmap's tools and headers, or for DKMS.

    Installing them loads nothing. The same inputs give the same bytes. Prints `changed` or `unchanged` for each.
    Modules built with --debug-symbols also give a -dbg package. All kinds but modules are made from netmap's source;
    dkms carries it and needs --driver.
    """
    with console.errors_reported(json):
        pin = load_netmap_pin()
        kinds = list(dict.fromkeys(kind or [Kind.MODULES]))
        names = driver or []
        debs: list[Deb] = []
        if Kind.MODULES in kinds:
            for folder in find_folders(artifacts, kernel or []):
                chosen = modules.choose_modules(folder, names)
                debs.append(modules.build_package(chosen, pin, revision))
                debug = modules.build_debug_package(chosen, pin, revision)
                debs += [debug] if debug else []
        if kinds != [Kind.MODULES]:
            tree = load_netmap_tree(netmap_source, cache.absolute(), pin, accept=accept_netmap_tree)
            makers: dict[Kind, Callable[[], Deb]] = {
                Kind.TOOLS: lambda: tools.build_tools(tree, pin, revision),
                Kind.HEADERS: lambda: tools.build_headers(tree, pin, revision),
                Kind.DKMS: lambda: dkms.build_dkms(tree, pin, names, revision),
            }
            debs += [makers[one]() for one in kinds if one is not Kind.MODULES]
        print_written([write_package(deb, output, pin.committed_s) for deb in debs], json)


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
