# SPDX-License-Identifier: Apache-2.0
"""Choosing Debian's packages: the exact version or none; and making unpacked headers work where they lie."""

from pathlib import Path

import pytest

from driver_builds.distributions import apt
from driver_builds.distributions.debian import choose_packages, describe_missing, parse_needs, repoint
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
    assert (source[0] if source else "apt does not know that package") in str(caught.value)


def test_a_missing_release_names_those_there_are() -> None:
    known = [parse_release(text) for text in ("6.1.0-55-amd64", "6.1.0-56-cloud-amd64", "6.1.0-56-rt-amd64")]
    said = describe_missing(parse_release("6.1.0-99-amd64"), known)
    assert "it has 6.1.0-55-amd64; choose one of them, or run apt-get update" in said
    assert "no amd64 kernel at all; run apt-get update" in describe_missing(RELEASE, [])


def test_a_changed_byte_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "linux-source-6.1_6.1.192-2_all.deb"
    file.write_bytes(b"the archive")
    stanza = {**_stanza("linux-source-6.1", "6.1.192-2"), "SHA256": hash_file(file)}
    package = apt.build_package(stanza)
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
    (headers / "Makefile").write_text("include /usr/src/linux-headers-6.1.0-56-common/Makefile\n")
    (headers / "scripts").symlink_to("../../lib/linux-kbuild-6.1/scripts")
    (folder / "lib/modules/6.1.0-56-amd64").mkdir(parents=True)
    (folder / "lib/modules/6.1.0-56-amd64/build").symlink_to("/usr/src/linux-headers-6.1.0-56-amd64")
    repoint(folder, final)
    folder.rename(final)
    makefile = final / "usr/src/linux-headers-6.1.0-56-amd64/Makefile"
    assert makefile.read_text() == f"include {final}/usr/src/linux-headers-6.1.0-56-common/Makefile\n"
    assert (final / "lib/modules/6.1.0-56-amd64/build/Makefile").samefile(makefile)
    scripts = makefile.parent / "scripts"
    assert str(scripts.readlink()) == "../../lib/linux-kbuild-6.1/scripts", (
        "relative links are right as they are"
    )
