# SPDX-License-Identifier: Apache-2.0
"""An artifacts directory with small modules that are real ELF files and a real manifest."""

from collections.abc import Mapping
from pathlib import Path

from driver_builds.catalogue import load_netmap_pin
from driver_builds.manifest import (
    FILE_NAME,
    Hunk,
    Input,
    Kernel,
    Manifest,
    Module,
    Netmap,
    Patch,
    render_manifest,
)
from driver_builds.tree_hash import hash_file

from .conftest import build_module


def build_artifacts(folder: Path, imports: Mapping[str, int] | None = None) -> Path:
    """netmap.ko and e1000.ko for the kernel the folder is named after, with their manifest."""
    folder.mkdir(parents=True)
    release = folder.name
    modules = [build_record(folder, release, name, imports or {"x": 1}) for name in ("netmap", "e1000")]
    pin = load_netmap_pin()
    manifest = Manifest(
        inputs_sha256="0" * 64,
        kernel=Kernel(
            release=release,
            distribution="debian 12",
            version="6.1.192-2",
            headers_package=f"linux-headers-{release}",
            source_package="linux-source-6.1",
            compiler="gcc-12 (Debian 12.2.0-14) 12.2.0",
        ),
        netmap=Netmap(url=pin.url, commit=pin.commit, sha256=pin.tree_sha256, pinned=True),
        inputs=[
            Input(name=f"linux-headers-{release}", version="6.1.192-2", sha256="2" * 64),
            Input(name="linux-source-6.1", version="6.1.192-2", sha256="3" * 64),
        ],
        modules=modules,
        refused=[],
    )
    (folder / FILE_NAME).write_text(render_manifest(manifest))
    return folder


def build_record(folder: Path, release: str, name: str, imports: Mapping[str, int]) -> Module:
    """Writes NAME.ko and returns what the manifest says of it."""
    depends = [] if name == "netmap" else ["netmap"]
    vermagic = f"{release} SMP preempt mod_unload modversions"
    fields = [
        ("name", name),
        ("vermagic", f"{vermagic} "),
        ("license", "GPL v2"),
        ("depends", ",".join(depends)),
    ]
    file = folder / f"{name}.ko"
    file.write_bytes(build_module(fields, imports))
    hunk = Hunk(file=f"{name}/{name}_main.c", hunk=1, line=177, offset=-23, fuzz=2)
    patch = Patch(name=f"vanilla--{name}--31200--99999", sha256="f" * 64, stage="upstream", hunks=[hunk])
    return Module(
        name=name,
        file=file.name,
        sha256=hash_file(file),
        vermagic=vermagic,
        srcversion=None,
        depends=depends,
        imports=len(imports),
        patch=patch if depends else None,
        corrections=[f"{name}-last-slot"] if depends else [],
        baseline="built" if depends else None,
    )
