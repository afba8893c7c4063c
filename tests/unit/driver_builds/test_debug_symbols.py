# SPDX-License-Identifier: Apache-2.0
"""Debug information: out of the module, kept beside it, and where debuggers look for it in a package."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from driver_builds.catalogue import load_netmap_pin
from driver_builds.errors import ArtifactError, RefusedAsUnsafe
from driver_builds.manifest import FILE_NAME, load_manifest, render_manifest
from driver_builds.modinfo import parse_sections
from driver_builds.packages import modules
from driver_builds.packages.deb import render_deb
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.run import apply_plan
from driver_builds.plan import BuildInputs
from driver_builds.tree_hash import hash_file
from driver_builds.verify import find_artifact_problems

from .miniature import Miniature
from .small_artifacts import build_artifacts

RELEASE = "6.1.0-56-amd64"


def build(miniature: Miniature, cached: frozenset[str] = frozenset()) -> BuildContext:
    plan, context = miniature.prepare(cached)
    apply_plan(plan, context, lambda *_: None)
    return context


@pytest.fixture
def debugged(tmp_path: Path, inputs: BuildInputs) -> Miniature:
    return Miniature(tmp_path / "miniature", replace(inputs, debug_symbols=True))


def test_it_is_kept_beside_modules_that_have_none(debugged: Miniature) -> None:
    folder = build(debugged).artifacts
    assert find_artifact_problems(folder) == []
    for module in load_manifest(folder).modules:
        assert module.debug_sha256 == hash_file(folder / "debug" / f"{module.file}.debug")
        assert ".debug_info" not in parse_sections((folder / module.file).read_bytes())
        shown = subprocess.run(
            ["readelf", "--debug-dump=info", folder / "debug" / f"{module.file}.debug"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"{module.name}_open" in shown
        assert str(debugged.folder) not in shown, "a folder of the build host is in the debug information"


def test_it_comes_from_the_cache_with_its_module(debugged: Miniature) -> None:
    first = build(debugged).artifacts
    before = {path.name: path.read_bytes() for path in (first / "debug").iterdir()}
    again = build(debugged, frozenset({"netmap", "e1000", "e1000e"}))
    assert not again.changed
    assert {path.name: path.read_bytes() for path in (again.artifacts / "debug").iterdir()} == before
    damaged = again.get_cached("e1000") / "e1000.ko.debug"
    damaged.write_bytes(b"")
    with pytest.raises(RefusedAsUnsafe, match=r"e1000\.ko\.debug: is not the file that was built"):
        build(debugged, frozenset({"netmap", "e1000", "e1000e"}))


def test_verify_sees_a_changed_one(debugged: Miniature) -> None:
    folder = build(debugged).artifacts
    (folder / "debug/e1000.ko.debug").write_bytes(b"")
    (problem,) = find_artifact_problems(folder)
    assert "e1000.ko.debug: is not the file the manifest lists" in problem


def test_without_it_nothing_is_kept(tmp_path: Path, inputs: BuildInputs) -> None:
    folder = build(Miniature(tmp_path / "miniature", inputs)).artifacts
    assert not (folder / "debug").exists()
    assert [module.debug_sha256 for module in load_manifest(folder).modules] == [None, None, None]


def add_debug_file(folder: Path, linked: bool = True) -> None:
    """Gives every module of a small artifacts directory a linker's build ID and a debug file."""
    manifest = load_manifest(folder)
    records = []
    for module in manifest.modules:
        file, debug = folder / module.file, folder / "debug" / f"{module.file}.debug"
        debug.parent.mkdir(exist_ok=True)
        if linked:
            linker = ["ld", "-r", "--build-id=sha1", "-o", str(file.with_suffix(".new")), str(file)]
            subprocess.run(linker, check=True)
            file.with_suffix(".new").replace(file)
        debug.write_bytes(b"debug information of " + module.name.encode())
        records.append(
            module.model_copy(update={"sha256": hash_file(file), "debug_sha256": hash_file(debug)})
        )
    (folder / FILE_NAME).write_text(render_manifest(manifest.model_copy(update={"modules": records})))


def test_the_package_has_it_by_build_id(tmp_path: Path) -> None:
    folder = build_artifacts(tmp_path / RELEASE)
    pin = load_netmap_pin()
    assert modules.build_debug_package(modules.choose_modules(folder, []), pin) is None
    add_debug_file(folder)
    chosen = modules.choose_modules(folder, [])
    deb = modules.build_debug_package(chosen, pin)
    assert deb is not None
    assert (deb.name, deb.version) == (
        f"netmap-modules-{RELEASE}-dbg",
        modules.build_package(chosen, pin).version,
    )
    shown = subprocess.run(
        ["readelf", "--notes", folder / "e1000.ko"], capture_output=True, text=True, check=True
    ).stdout
    build_id = shown.split("Build ID: ")[1].split()[0]
    (entry,) = [entry for entry in deb.entries if entry.content.endswith(b" e1000")]
    assert entry.path == f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    assert render_deb(deb, 1) == render_deb(deb, 1)


def test_a_module_without_build_id_cannot_have_one(tmp_path: Path) -> None:
    folder = build_artifacts(tmp_path / RELEASE)
    add_debug_file(folder, linked=False)
    with pytest.raises(ArtifactError, match="has no build ID"):
        modules.build_debug_package(modules.choose_modules(folder, []), load_netmap_pin())
