# SPDX-License-Identifier: Apache-2.0
"""Choosing Debian's packages: the exact version or none; and making unpacked headers work where they lie."""

from pathlib import Path

import pytest

from driver_builds.distributions import apt
from driver_builds.distributions.debian import (
    choose_packages,
    describe_missing,
    find_kernel_packages,
    find_releases,
    parse_needs,
)
from driver_builds.distributions.releases import get_distribution
from driver_builds.distributions.unpacking import repoint
from driver_builds.errors import ExitCode, RefusedAsUnsafe, StageError
from driver_builds.release import parse_release
from driver_builds.tree_hash import hash_file

RELEASE = parse_release("6.1.0-56-amd64")

# As apt-cache prints it, two versions of one package.
SHOWN = """\
Package: linux-source-6.1
Source: linux
Version: 6.1.192-2
Architecture: all
Description: Linux kernel source for version 6.1 with Debian patches
 This package provides source code for the Linux kernel version 6.1.
 .
 Second paragraph.
Size: 139331676
SHA256: {d}

Package: linux-source-6.1
Version: 6.1.176-1
Architecture: all
Size: 139131140
SHA256: {e}

E: Some message that is no stanza
""".format(d="d" * 64, e="e" * 64)


def _stanza(name: str, version: str, depends: str = "") -> dict[str, str]:
    fields = {"Package": name, "Version": version, "Architecture": "amd64", "SHA256": "a" * 64, "Size": "1"}
    return {**fields, "Depends": depends}


HEADERS = _stanza(
    "linux-headers-6.1.0-56-amd64",
    "6.1.192-2",
    "linux-headers-6.1.0-56-common (= 6.1.192-2), linux-kbuild-6.1 (>= 6.1.192-2), linux-compiler-gcc-12-x86",
)


def _known(common: list[str], kbuild: list[str], source: list[str]) -> dict[str, list[dict[str, str]]]:
    versions = {
        "linux-headers-6.1.0-56-common": common,
        "linux-kbuild-6.1": kbuild,
        "linux-source-6.1": source,
    }
    return {name: [_stanza(name, version) for version in all_] for name, all_ in versions.items()}


def test_stanzas() -> None:
    stanzas = apt.parse_stanzas(SHOWN)
    assert [stanza["Version"] for stanza in stanzas] == ["6.1.192-2", "6.1.176-1"]
    assert stanzas[0]["Description"].endswith("version 6.1.\n.\nSecond paragraph.")
    package = apt.build_package(stanzas[0])
    assert (package.size_bytes, package.sha256) == (139331676, "d" * 64)
    assert package.file_name == "linux-source-6.1_6.1.192-2_all.deb"
    assert apt.parse_stanzas("") == []


def test_needs_of_both_naming_schemes() -> None:
    needs = parse_needs(RELEASE, HEADERS)
    assert (needs.common, needs.kbuild) == ("linux-headers-6.1.0-56-common", "linux-kbuild-6.1")
    assert (needs.kbuild_at_least, needs.compiler, needs.source) == (
        "6.1.192-2",
        "gcc-12",
        "linux-source-6.1",
    )
    release = parse_release("6.12.117+deb12-amd64")
    newer = _stanza(
        "linux-headers-6.12.117+deb12-amd64",
        "6.12.117-1~deb12u1",
        "linux-base (>= 4.12~), linux-headers-6.12.117+deb12-common (= 6.12.117-1~deb12u1), "
        "linux-image-6.12.117+deb12-amd64 (= 6.12.117-1~deb12u1) | linux-image-unsigned, "
        "linux-kbuild-6.12.117+deb12, gcc-12",
    )
    needs = parse_needs(release, newer)
    assert needs.common == "linux-headers-6.12.117+deb12-common"
    assert (needs.kbuild, needs.kbuild_at_least) == ("linux-kbuild-6.12.117+deb12", None)
    assert (needs.compiler, needs.source) == ("gcc-12", "linux-source-6.12")


def test_headers_that_depend_on_something_else() -> None:
    with pytest.raises(StageError, match=r"depends on no package like .*, but on: libc6"):
        parse_needs(RELEASE, _stanza("linux-headers-6.1.0-56-amd64", "1", "libc6"))


def test_the_exact_set() -> None:
    known = _known(["6.1.192-2"], ["6.1.192-2"], ["6.1.192-2", "6.1.192-1", "6.1.176-1"])
    packages = choose_packages(RELEASE, HEADERS, parse_needs(RELEASE, HEADERS), known, "debian 12")
    assert {package.version for package in packages.all} == {"6.1.192-2"}
    assert packages.kernel_version == (6, 1, 192)
    assert packages.compiler == "gcc-12"


def test_only_kbuild_may_be_newer_as_debian_says() -> None:
    known = _known(["6.1.192-2"], ["6.1.200-1", "6.1.176-1"], ["6.1.192-2"])
    packages = choose_packages(RELEASE, HEADERS, parse_needs(RELEASE, HEADERS), known, "debian 12")
    assert packages.kbuild is not None
    assert packages.kbuild.version == "6.1.200-1"
    older = _known(["6.1.192-2"], ["6.1.176-1"], ["6.1.192-2"])
    with pytest.raises(
        StageError, match=r"linux-kbuild-6\.1 of version 6\.1\.192-2 is needed.*has 6\.1\.176-1"
    ):
        choose_packages(RELEASE, HEADERS, parse_needs(RELEASE, HEADERS), older, "debian 12")


@pytest.mark.parametrize("source", [["6.1.192-1"], ["6.1.193-1", "6.1.192-1"], []])
def test_no_nearest_source(source: list[str]) -> None:
    known = _known(["6.1.192-2"], ["6.1.192-2"], source)
    with pytest.raises(StageError, match="no other version is taken instead") as caught:
        choose_packages(RELEASE, HEADERS, parse_needs(RELEASE, HEADERS), known, "debian 12")
    assert "linux-source-6.1 of version 6.1.192-2 is needed" in str(caught.value)
    assert (source[0] if source else "the archive does not have that package") in str(caught.value)


def test_a_missing_release_names_those_there_are() -> None:
    known = [parse_release(text) for text in ("6.1.0-55-amd64", "6.1.0-56-cloud-amd64", "6.1.0-56-rt-amd64")]
    said = describe_missing(parse_release("6.1.0-99-amd64"), known, "the archive of debian 12")
    assert said.startswith("the archive of debian 12 has no linux-headers-6.1.0-99-amd64")
    assert "it has 6.1.0-55-amd64; choose one of them" in said
    assert "--refresh" in said
    said = describe_missing(parse_release("6.1.0-99-rt-amd64"), known, "the archive")
    assert "it has 6.1.0-56-rt-amd64; choose" in said
    assert "no amd64 kernel at all" in describe_missing(RELEASE, [], "the archive")


def test_a_changed_byte_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "linux-source-6.1_6.1.192-2_all.deb"
    file.write_bytes(b"the archive")
    stanza = {**_stanza("linux-source-6.1", "6.1.192-2"), "SHA256": hash_file(file)}
    package = apt.build_package({**stanza, "Size": str(file.stat().st_size)})
    apt.check_package(package, file)
    file.write_bytes(b"the arch")
    with pytest.raises(RefusedAsUnsafe, match=r"has 8 bytes, the archive's index says 11 .*cut or another"):
        apt.check_package(package, file)
    file.write_bytes(b"the brchive")
    with pytest.raises(RefusedAsUnsafe, match="the file was changed: delete it") as caught:
        apt.check_package(package, file)
    assert str(file) in str(caught.value)
    assert package.sha256 in str(caught.value)
    assert caught.value.exit_code is ExitCode.UNSAFE


def test_paths_lead_into_the_unpacked_root(tmp_path: Path) -> None:
    folder, final = tmp_path / "new", tmp_path / "final"
    headers = folder / "usr/src/linux-headers-6.1.0-56-amd64"
    headers.mkdir(parents=True)
    (headers / "Makefile").write_text(
        "KBUILD_OUTPUT=/usr/src/linux-headers-6.1.0-56-amd64\n"
        "include /usr/src/linux-headers-6.1.0-56-common/Makefile\n"
    )
    (headers / "scripts").symlink_to("../../lib/linux-kbuild-6.1/scripts")
    (folder / "lib/modules/6.1.0-56-amd64").mkdir(parents=True)
    (folder / "lib/modules/6.1.0-56-amd64/build").symlink_to("/usr/src/linux-headers-6.1.0-56-amd64")
    repoint(folder, final)
    folder.rename(final)
    makefile = final / "usr/src/linux-headers-6.1.0-56-amd64/Makefile"
    assert makefile.read_text() == (
        f"KBUILD_OUTPUT={final}/usr/src/linux-headers-6.1.0-56-amd64\n"
        f"include {final}/usr/src/linux-headers-6.1.0-56-common/Makefile\n"
    )
    assert (final / "lib/modules/6.1.0-56-amd64/build/Makefile").samefile(makefile)
    scripts = makefile.parent / "scripts"
    assert str(scripts.readlink()) == "../../lib/linux-kbuild-6.1/scripts", (
        "relative links are right as they are"
    )


def _rt_stanzas() -> list[dict[str, str]]:
    headers = _stanza(
        "linux-headers-6.12.117+deb12-rt-amd64",
        "6.12.117-1~deb12u1",
        "linux-headers-6.12.117+deb12-common-rt (= 6.12.117-1~deb12u1), linux-kbuild-6.12.117+deb12, gcc-12",
    )
    names = (
        "linux-headers-6.12.117+deb12-common-rt",
        "linux-kbuild-6.12.117+deb12",
        "linux-source-6.12",
        "linux-image-6.12.117+deb12-rt-amd64",
    )
    others = [_stanza(name, "6.12.117-1~deb12u1") for name in names]
    patches = {**_stanza("linux-6.12", "6.12.117-1~deb12u1"), "Architecture": "source"}
    meta = [_stanza(name, "1") for name in ("linux-headers-amd64", "linux-headers-6.12-rt-amd64")]
    return [*meta, {**headers, "Source": "linux-6.12"}, *others, patches]


def test_rt_kernels_take_the_patch_set_of_their_own_source_package() -> None:
    release = parse_release("6.12.117+deb12-rt-amd64")
    packages = find_kernel_packages(release, get_distribution("debian 12"), _rt_stanzas())
    assert packages is not None
    assert packages.rt_patches is not None
    assert packages.rt_patches.file_name == "linux-6.12_6.12.117-1~deb12u1.debian.tar.xz"
    assert packages.rt_patches in packages.all
    assert [image.name for image in packages.images] == ["linux-image-6.12.117+deb12-rt-amd64"]
    without = [stanza for stanza in _rt_stanzas() if stanza["Architecture"] != "source"]
    with pytest.raises(StageError, match=r"linux-6\.12 of version .* is needed"):
        find_kernel_packages(release, get_distribution("debian 12"), without)


def test_newer_rt_kernels_need_no_patch_set() -> None:
    release = parse_release("7.3.4+deb13-rt-amd64")
    depends = (
        "gcc-14-for-host, linux-base (>= 4.12~), linux-base-7.3.4+deb13-rt-amd64 (= 7.3.4-1~bpo13+1), "
        "linux-headers-7.3.4+deb13-common (= 7.3.4-1~bpo13+1), linux-kbuild-7.3.4+deb13"
    )
    needs = parse_needs(release, _stanza("linux-headers-7.3.4+deb13-rt-amd64", "7.3.4-1~bpo13+1", depends))
    assert (needs.compiler, needs.common, needs.rt_patches) == (
        "gcc-14",
        "linux-headers-7.3.4+deb13-common",
        None,
    )


def test_releases_of_an_index() -> None:
    assert [release.text for release in find_releases(_rt_stanzas())] == ["6.12.117+deb12-rt-amd64"]


def test_other_architectures_and_unknown_kernels() -> None:
    arm = parse_release("6.1.0-56-arm64")
    with pytest.raises(StageError, match="flavour arm64 is not built here"):
        find_kernel_packages(arm, get_distribution("debian 12"), [])
    assert find_kernel_packages(RELEASE, get_distribution("debian 12"), []) is None
