# SPDX-License-Identifier: Apache-2.0
"""Kernels as data: every file of data/kernels is whole, and what is known needs neither network nor cache."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from driver_builds.builders.choose import choose_builder
from driver_builds.builders.chroot import ChrootBuilder
from driver_builds.compiler import parse_compiler_version
from driver_builds.distributions import KernelPackages, Package, archives, known, mirrors
from driver_builds.distributions.releases import find_distributions, get_distribution
from driver_builds.errors import StageError
from driver_builds.release import parse_release

KERNELS = known.load_known_kernels()


def test_every_line_of_debian_is_known() -> None:
    lines = {
        (
            packages.distribution,
            packages.release.series,
            packages.release.flavour,
            packages.release.featureset,
        )
        for packages in KERNELS.values()
    }
    for distribution, series in (
        ("debian 11", "5.10"),
        ("debian 11", "6.1"),
        ("debian 12", "6.1"),
        ("debian 12", "6.12"),
        ("debian 13", "6.12"),
    ):
        for flavour, featureset in (("amd64", None), ("cloud-amd64", None), ("amd64", "rt")):
            assert (distribution, series, flavour, featureset) in lines
    assert {line[1] for line in lines if line[0] == "debian 13"} - {"6.12"}, "backports are known"


@pytest.mark.parametrize("name", KERNELS)
def test_a_known_kernel_is_whole(name: str) -> None:
    packages = KERNELS[name]
    release = parse_release(name)
    assert packages.release == release
    assert get_distribution(packages.distribution) in find_distributions(release)
    version = packages.headers.version
    assert {package.version for package in packages.all if package != packages.kbuild} == {version}
    for package in (*packages.all, *packages.images):
        assert len(package.sha256) == 64
        assert package.size_bytes > 0
        assert package.suite in get_distribution(packages.distribution).suites
        assert package.path.startswith("pool/")
        assert package.path.endswith((".deb", ".debian.tar.xz"))
    assert packages.images
    assert (packages.rt_patches is not None) == packages.common.name.endswith("-common-rt")
    assert packages.kernel_version[:2] == release.version[:2]
    if packages.compiler_record:
        number = packages.compiler.removeprefix("gcc-")
        assert parse_compiler_version(packages.compiler_record).startswith(f"{number}.")


@pytest.mark.parametrize("name", KERNELS)
def test_the_file_is_as_it_would_be_written(name: str) -> None:
    text = (known.get_data_folder() / f"{name}.json").read_text()
    assert known.render_kernel_packages(known.parse_kernel_packages(text)) == text


def test_a_known_kernel_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirrors.VARIABLE, f"file:{tmp_path}/no-such-mirror")
    for name, packages in KERNELS.items():
        assert known.read_kernel_packages(parse_release(name), tmp_path) == packages
    assert list(tmp_path.iterdir()) == []


def test_what_was_resolved_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = list(KERNELS.values())[-1]
    release = parse_release("6.1.0-999-amd64")
    packages = replace(newest, release=release)
    known.save_kernel_packages(packages, tmp_path / "resolved/6.1.0-999-amd64.json")
    assert known.read_kernel_packages(release, tmp_path) == packages
    monkeypatch.setattr(archives, "read_index", lambda *_, **__: [])
    with pytest.raises(StageError, match=r"has no linux-headers-6\.1\.0-999-amd64"):
        known.read_kernel_packages(release, tmp_path, refresh=True)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"release": 3}', '{"release": "6.1.0-999-amd64"}', "null"])
def test_a_damaged_note_is_passed_over(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "resolved/6.1.0-999-amd64.json"
    note.parent.mkdir()
    note.write_text(text)
    monkeypatch.setattr(archives, "read_index", lambda *_, **__: [])
    with pytest.raises(StageError, match=r"has no linux-headers-6\.1\.0-999-amd64"):
        known.read_kernel_packages(parse_release("6.1.0-999-amd64"), tmp_path)


def test_notes_of_older_versions_are_passed_over(tmp_path: Path) -> None:
    """They did not say where in the archive a package is."""
    release = parse_release(next(iter(KERNELS)))
    document = json.loads(known.render_kernel_packages(KERNELS[release.text]))
    del document["headers"]["path"]
    note = tmp_path / f"resolved/{release.text}.json"
    note.parent.mkdir()
    note.write_text(json.dumps(document))
    assert known.read_kernel_packages(release, tmp_path) == KERNELS[release.text]


def test_the_builder_of_a_known_kernel(tmp_path: Path) -> None:
    for packages in KERNELS.values():
        builder = choose_builder(packages, tmp_path, [])
        if isinstance(builder, ChrootBuilder):
            assert builder.name == f"chroot {packages.distribution}"
            assert builder.compiler in builder.read_compiler()
            assert "made by mmdebstrap" in builder.describe()
    assert list(tmp_path.iterdir()) == []


def _names(*texts: str) -> list[str]:
    return [release.text for release in known.select_newest([parse_release(text) for text in texts], 1)]


def test_the_newest_of_each_line() -> None:
    assert _names("6.1.0-9-amd64", "6.1.0-56-amd64", "6.1.0-56-rt-amd64", "6.12.1+deb12-amd64") == [
        "6.1.0-56-amd64",
        "6.1.0-56-rt-amd64",
        "6.12.1+deb12-amd64",
    ]


def test_a_member_of_a_package(tmp_path: Path) -> None:
    packages: KernelPackages = next(iter(KERNELS.values()))
    assert isinstance(packages.headers, Package)
    with pytest.raises(StageError, match="has no usr/src/x"):
        known.read_member(_build_package(tmp_path), "usr/src/x")
    assert known.read_member(_build_package(tmp_path), "usr/src/config") == 'CONFIG_CC_VERSION_TEXT="gcc"\n'


def _build_package(folder: Path) -> Path:
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tree / "usr/src").mkdir(parents=True, exist_ok=True)
    (tree / "usr/src/config").write_text('CONFIG_CC_VERSION_TEXT="gcc"\n')
    control = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.invalid>\nDescription: x\n"
    (tree / "DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", tree, folder / "x.deb"], check=True, capture_output=True)
    return folder / "x.deb"
