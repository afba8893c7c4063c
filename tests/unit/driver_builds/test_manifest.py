# SPDX-License-Identifier: Apache-2.0
"""manifest.json: written, read again, and refused when it is not one; and `verify` on top of it."""

import json
from pathlib import Path

import pytest

from driver_builds.errors import ArtifactError
from driver_builds.manifest import (
    FILE_NAME,
    Hunk,
    Input,
    Kernel,
    Manifest,
    Module,
    Netmap,
    Patch,
    load_manifest,
    render_manifest,
)
from driver_builds.tree_hash import hash_file
from driver_builds.verify import find_artifact_problems

from .conftest import VERMAGIC, build_module


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """A whole artifacts directory with netmap.ko and e1000.ko."""
    folder = tmp_path / "6.1.0-56-amd64"
    folder.mkdir()
    modules = []
    for name, depends in (("netmap", ""), ("e1000", "netmap")):
        file = folder / f"{name}.ko"
        file.write_bytes(
            build_module([("name", name), ("vermagic", VERMAGIC), ("depends", depends)], {"x": 1})
        )
        hunk = Hunk(file="e1000/e1000_main.c", hunk=1, line=177, offset=-23, fuzz=2)
        patch = Patch(name="vanilla--e1000--31200--99999", sha256="f" * 64, stage="upstream", hunks=[hunk])
        modules.append(
            Module(
                name=name,
                file=file.name,
                sha256=hash_file(file),
                vermagic=VERMAGIC.strip(),
                srcversion=None,
                depends=[depends] if depends else [],
                imports=1,
                patch=patch if depends else None,
                corrections=["e1000-last-slot"] if depends else [],
                baseline="built" if depends else None,
            )
        )
    manifest = Manifest(
        inputs_sha256="0" * 64,
        kernel=Kernel(
            release="6.1.0-56-amd64",
            distribution="debian 12",
            version="6.1.192-2",
            headers_package="linux-headers-6.1.0-56-amd64",
            source_package="linux-source-6.1",
            compiler="gcc-12 (Debian 12.2.0-14) 12.2.0",
        ),
        netmap=Netmap(url="https://example.invalid/netmap", commit="1" * 40, sha256="2" * 64, pinned=True),
        inputs=[Input(name="linux-source-6.1", version="6.1.192-2", sha256="3" * 64)],
        modules=modules,
        refused=[],
    )
    (folder / FILE_NAME).write_text(render_manifest(manifest))
    return folder


def test_round_trip(artifacts: Path) -> None:
    manifest = load_manifest(artifacts)
    assert render_manifest(manifest) == (artifacts / FILE_NAME).read_text()
    document = json.loads((artifacts / FILE_NAME).read_text())
    assert list(document) == ["schema", "inputs_sha256", "kernel", "netmap", "inputs", "modules", "refused"]
    assert document["schema"] == 1
    assert document["modules"][1]["patch"]["hunks"] == [
        {"file": "e1000/e1000_main.c", "hunk": 1, "line": 177, "offset": -23, "fuzz": 2}
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema: Input should be 1"),
        ({"more": 1}, "more: Extra inputs"),
        ({"inputs_sha256": "x"}, "inputs_sha256: String should match"),
        ({"modules": [{"name": "../evil"}]}, r"modules\.0\.name: String should match"),
    ],
)
def test_what_is_no_manifest(artifacts: Path, change: dict[str, object], said: str) -> None:
    path = artifacts / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=said) as caught:
        load_manifest(artifacts)
    assert str(path) in str(caught.value)


def test_no_manifest_at_all(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_manifest(tmp_path)
    assert len(find_artifact_problems(tmp_path)) == 1


def test_a_whole_directory_has_no_problem(artifacts: Path) -> None:
    (artifacts / "logs").mkdir()
    assert find_artifact_problems(artifacts) == []


def test_a_changed_byte(artifacts: Path) -> None:
    data = bytearray((artifacts / "e1000.ko").read_bytes())
    data[-1] ^= 1
    (artifacts / "e1000.ko").write_bytes(data)
    (problem,) = find_artifact_problems(artifacts)
    assert problem.startswith(f"{artifacts / 'e1000.ko'}: SHA-256 is ")


def test_a_missing_and_a_stray_module(artifacts: Path) -> None:
    (artifacts / "e1000.ko").rename(artifacts / "igb.ko")
    problems = find_artifact_problems(artifacts)
    assert len(problems) == 2
    assert problems[0].startswith(f"{artifacts / 'e1000.ko'}: missing")
    assert problems[1].startswith(f"{artifacts / 'igb.ko'}: is not in the manifest")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("name", "e1000"), ("vermagic", VERMAGIC), ("depends", "")], "name, vermagic and depends are"),
        (
            [("name", "e1000"), ("vermagic", "6.1.0-55-amd64 SMP"), ("depends", "netmap")],
            "name, vermagic and depends",
        ),
    ],
)
def test_a_file_that_is_not_what_the_manifest_says(
    artifacts: Path, fields: list[tuple[str, str]], said: str
) -> None:
    file = artifacts / "e1000.ko"
    file.write_bytes(build_module(fields, {"x": 1}))
    document = json.loads((artifacts / FILE_NAME).read_text())
    document["modules"][1]["sha256"] = hash_file(file)
    (artifacts / FILE_NAME).write_text(json.dumps(document))
    (problem,) = find_artifact_problems(artifacts)
    assert said in problem


def test_a_manifest_of_another_kernel(artifacts: Path) -> None:
    text = (artifacts / FILE_NAME).read_text()
    (artifacts / FILE_NAME).write_text(
        text.replace('"release": "6.1.0-56-amd64"', '"release": "6.1.0-55-amd64"')
    )
    problems = find_artifact_problems(artifacts)
    assert len(problems) == 2
    assert "is for kernel 6.1.0-56-amd64, the manifest is for 6.1.0-55-amd64" in problems[0]
