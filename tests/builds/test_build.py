# SPDX-License-Identifier: Apache-2.0
"""The real build, from packages to manifest: what comes out, that it comes out again, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from driver_builds.catalogue import load_corrections
from driver_builds.manifest import load_manifest
from driver_builds.modinfo import load_module_info
from driver_builds.netmap_source import NetmapTree
from driver_builds.verify import find_artifact_problems

from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_the_modules(artifacts: Path, release: str) -> None:
    assert find_artifact_problems(artifacts) == []
    for name in ("e1000", "e1000e"):
        info = load_module_info(artifacts / f"{name}.ko")
        assert info.release == release
        assert "netmap" in info.depends
        assert "netmap_attach" in info.versions
    assert load_module_info(artifacts / "netmap.ko").depends == ()


def test_the_manifest(artifacts: Path, release: str, netmap_tree: NetmapTree) -> None:
    manifest = load_manifest(artifacts)
    assert manifest.kernel.release == release
    assert {package.version for package in manifest.inputs} == {manifest.kernel.version}
    assert (manifest.netmap.commit, manifest.netmap.pinned) == (netmap_tree.commit, True)
    assert manifest.refused == []
    for module in manifest.modules[1:]:
        assert module.patch is not None
        assert module.patch.name == f"vanilla--{module.name}--31200--99999"
        assert len(module.patch.hunks) >= 5
        assert module.corrections == [
            correction.name for correction in load_corrections() if correction.driver == module.name
        ]
    assert any(hunk.fuzz for module in manifest.modules if module.patch for hunk in module.patch.hunks)


def test_the_second_run_is_unchanged(builder: Builder, artifacts: Path, release: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in artifacts.iterdir()}
    arguments = [
        "--kernel",
        release,
        "--driver",
        "e1000",
        "--driver",
        "e1000e",
        "--artifacts",
        str(artifacts.parent),
    ]
    done = builder.run("build", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["changed"] is False
    assert document["steps"] == []
    assert {path.name: path.stat().st_mtime_ns for path in artifacts.iterdir()} == before
    assert builder.run("build", *arguments).stdout.startswith("unchanged: ")


def test_compiling_again_gives_the_same_bytes(builder: Builder, artifacts: Path, release: str) -> None:
    arguments = [
        "--kernel",
        release,
        "--driver",
        "e1000",
        "--driver",
        "e1000e",
        "--artifacts",
        str(artifacts.parent),
    ]
    done = builder.run("build", *arguments, "--rebuild", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    stages = [(step["stage"], step["subject"]) for step in document["steps"]]
    assert ("probe", "netmap") in stages
    assert ("build", "e1000e") in stages
    assert document["changed"] is False


def test_a_changed_byte_in_an_archive_is_refused_by_name(
    builder: Builder, release: str, tmp_path: Path
) -> None:
    (package,) = (builder.cache / "packages").glob(f"linux-headers-{release}_*.deb")
    changed = tmp_path / "cache" / "packages" / package.name
    changed.parent.mkdir(parents=True)
    data = bytearray(package.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    arguments = ["--kernel", release, "--driver", "e1000", "--artifacts", str(tmp_path / "artifacts")]
    done = builder.run("build", *arguments, cache=tmp_path / "cache")
    assert done.returncode == 5
    assert f"{changed}: SHA-256 is " in done.stderr
    assert "the file was changed: delete it" in done.stderr
    assert not (tmp_path / "artifacts" / release).exists()


def test_a_patch_that_does_not_fit_leaves_the_other_driver(
    builder: Builder, release: str, netmap_tree: NetmapTree, tmp_path: Path
) -> None:
    tree, artifacts = tmp_path / "netmap", tmp_path / "artifacts"
    shutil.copytree(netmap_tree.path, tree, symlinks=True)
    patch = tree / "LINUX/final-patches/vanilla--e1000e--31200--99999"
    # Context of no kernel: the first hunk's lines are turned into words nobody wrote.
    lines = patch.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("@@")) + 1
    end = next(
        (number for number, line in enumerate(lines[start:], start) if line.startswith("@@")), len(lines)
    )
    lines[start:end] = [
        f" never written {line[1:]}" if line.startswith(" ") else line for line in lines[start:end]
    ]
    patch.write_text("".join(lines))
    arguments = [
        "--kernel",
        release,
        "--driver",
        "e1000",
        "--driver",
        "e1000e",
        "--artifacts",
        str(artifacts),
    ]
    source = ["--netmap-source", str(tree)]
    assert builder.run("build", *arguments, *source).returncode == 5, "another tree than the pinned one"
    done = builder.run("build", *arguments, *source, "--accept-netmap-tree")
    assert done.returncode == 1, done.stderr
    manifest = load_manifest(artifacts / release)
    assert [module.name for module in manifest.modules] == ["netmap", "e1000"]
    assert not manifest.netmap.pinned
    (refused,) = manifest.refused
    assert (refused.name, refused.stage) == ("e1000e", "patch")
    assert refused.lines[0].startswith("e1000e/netdev.c: hunk 1 (line ")
    assert refused.log is not None
    assert "FAILED" in (artifacts / release / refused.log).read_text()
    assert f"refused: e1000e: patch: {refused.reason}" in done.stdout
