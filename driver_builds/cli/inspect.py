# SPDX-License-Identifier: Apache-2.0
"""`driver-builds inspect`: what a module file says of itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.modinfo import load_module_info
from driver_builds.plan import NETMAP
from driver_builds.tree_hash import hash_file


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE.ko", help="A kernel module, also FILE.ko.xz.")],
    json: options.Json = False,
) -> None:
    """Print name, kernel, dependencies and symbol versions of a module file."""
    with console.errors_reported(json):
        info = load_module_info(file)
        digest = hash_file(file)
        native = NETMAP in info.depends
        if json:
            versions = {name: f"{crc:#010x}" for name, crc in sorted(info.versions.items())}
            console.print_json(
                {
                    "file": str(file),
                    "sha256": digest,
                    "release": info.release,
                    "netmap": native,
                    **asdict(info),
                    "versions": versions,
                }
            )
            return
        patched = "yes, depends on it" if native else "no" if info.name != NETMAP else "this is netmap itself"
        for label, value in (
            ("name", info.name),
            ("kernel", info.release),
            ("vermagic", info.vermagic),
            ("depends", ", ".join(info.depends) or "nothing"),
            ("netmap", patched),
            ("srcversion", info.srcversion or "none"),
            ("licence", info.license or "none"),
            ("parameters", ", ".join(info.parameters) or "none"),
            ("imports", f"{len(info.versions)} symbols with versions"),
            ("sha256", digest),
        ):
            console.print_result(f"{label + ':':<12}{value}")
