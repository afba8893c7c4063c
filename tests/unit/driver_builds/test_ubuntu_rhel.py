# SPDX-License-Identifier: Apache-2.0
"""Ubuntu and RHEL by the same seam: names and choice on the forms their packages have. Nothing is built here."""

from pathlib import Path

import pytest

from driver_builds import process
from driver_builds.distributions import known, mirrors, rhel, ubuntu
from driver_builds.distributions.releases import find_distributions, get_distribution, get_family
from driver_builds.distributions.unpacking import find_archive
from driver_builds.errors import StageError
from driver_builds.release import parse_release


def _stanza(name: str, version: str, depends: str = "", suite: str = "jammy-updates") -> dict[str, str]:
    return {
        "Package": name,
        "Version": version,
        "Architecture": "amd64",
        "SHA256": "a" * 64,
        "Size": "1",
        "Depends": depends,
        "Filename": f"pool/main/l/linux/{name}_{version}_amd64.deb",
        "Suite": suite,
    }


GENERIC = [
    _stanza(
        "linux-headers-5.15.0-119-generic",
        "5.15.0-119.129",
        "linux-headers-5.15.0-119, libc6 (>= 2.34), libelf1",
    ),
    _stanza("linux-headers-5.15.0-119", "5.15.0-119.129"),
    _stanza("linux-source-5.15.0", "5.15.0-119.129"),
    _stanza("linux-image-5.15.0-119-generic", "5.15.0-119.129"),
    _stanza("linux-modules-5.15.0-119-generic", "5.15.0-119.129"),
    _stanza("linux-modules-extra-5.15.0-119-generic", "5.15.0-119.129"),
]
HWE = [
    _stanza(
        "linux-headers-6.8.0-49-generic",
        "6.8.0-49.49~22.04.1",
        "linux-hwe-6.8-headers-6.8.0-49, libc6 (>= 2.34)",
    ),
    _stanza("linux-hwe-6.8-headers-6.8.0-49", "6.8.0-49.49~22.04.1"),
    _stanza("linux-hwe-6.8-source-6.8.0", "6.8.0-49.49~22.04.1"),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("5.15.0-119-generic", ["ubuntu 22.04"]),
        ("5.15.0-119-lowlatency", ["ubuntu 22.04"]),
        ("6.8.0-49-generic", ["ubuntu 22.04", "ubuntu 24.04"]),
        ("6.11.0-19-generic", ["ubuntu 24.04"]),
        ("5.14.0-427.13.1.el9_4.x86_64", ["rhel 9"]),
        ("5.14.0-70.el9.x86_64", ["rhel 9"]),
        ("6.1.0-56-amd64", ["debian 12"]),
    ],
)
def test_which_distribution(text: str, names: list[str]) -> None:
    assert [found.name for found in find_distributions(parse_release(text))] == names


@pytest.mark.parametrize(
    "text", ["6.1.0-56-arm64", "6.1.0-56-generic", "5.15.0-119-amd64", "4.18.0-553.el8.x86_64"]
)
def test_flavours_are_the_distributions_own(text: str) -> None:
    with pytest.raises(StageError, match="no distribution known here"):
        find_distributions(parse_release(text))


def test_a_generic_kernel() -> None:
    release = parse_release("5.15.0-119-generic")
    packages = ubuntu.find_kernel_packages(release, get_distribution("ubuntu 22.04"), GENERIC)
    assert packages is not None
    assert [package.name for package in packages.all] == [
        "linux-headers-5.15.0-119-generic",
        "linux-headers-5.15.0-119",
        "linux-source-5.15.0",
    ]
    assert len(packages.images) == 3
    assert packages.kbuild is None
    assert not packages.compiler, "only the kernel's configuration names it"
    assert packages.kernel_version == (5, 15, 0)


def test_a_hwe_kernel() -> None:
    release = parse_release("6.8.0-49-generic")
    packages = ubuntu.find_kernel_packages(release, get_distribution("ubuntu 22.04"), HWE)
    assert packages is not None
    assert packages.common.name == "linux-hwe-6.8-headers-6.8.0-49"
    assert packages.source.name == "linux-hwe-6.8-source-6.8.0"


def test_only_the_exact_source() -> None:
    release = parse_release("5.15.0-119-generic")
    other = [*GENERIC[:2], _stanza("linux-source-5.15.0", "5.15.0-125.135")]
    with pytest.raises(
        StageError, match=r"linux-source-5\.15\.0 of version 5\.15\.0-119\.129 is needed, the archive has"
    ):
        ubuntu.find_kernel_packages(release, get_distribution("ubuntu 22.04"), other)
    with pytest.raises(StageError, match="depends on no package like"):
        ubuntu.parse_common(release, {"Depends": "libc6"})
    assert ubuntu.find_kernel_packages(release, get_distribution("ubuntu 22.04"), []) is None


def test_without_ubuntus_archive_the_message_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRIVER_BUILDS_UBUNTU_MIRROR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt here
    monkeypatch.setattr(process, "find_program", lambda _: None)
    with pytest.raises(
        StageError, match=r"no archive of Ubuntu; give its address with DRIVER_BUILDS_UBUNTU_MIRROR=URL"
    ):
        mirrors.read_mirrors("ubuntu")
    with pytest.raises(StageError, match=r"DRIVER_BUILDS_UBUNTU_MIRROR=URL|install ubuntu-keyring"):
        known.find_in_archives(parse_release("5.15.0-119-generic"), tmp_path)


def test_ubuntu_has_one_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVER_BUILDS_UBUNTU_MIRROR", "https://mirror.example/ubuntu/")
    found = mirrors.read_mirrors("ubuntu")
    assert (
        found.get_address("jammy-security") == found.get_address("jammy") == "https://mirror.example/ubuntu"
    )
    assert (get_family("jammy-updates"), get_family("trixie"), get_family("")) == (
        "ubuntu",
        "debian",
        "debian",
    )
    stanza = "Origin: Ubuntu\nCodename: jammy\nRepo-URI: http://m.example/ubuntu/\n"
    assert mirrors.parse_index_targets(stanza, "ubuntu") == mirrors.Mirrors(
        "http://m.example/ubuntu", "http://m.example/ubuntu"
    )
    assert mirrors.parse_index_targets(stanza) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "5.14.0-427.13.1.el9_4.x86_64",
            ("kernel-devel-5.14.0-427.13.1.el9_4.x86_64.rpm", "kernel-5.14.0-427.13.1.el9_4.src.rpm"),
        ),
        (
            "5.14.0-503.11.1.el9_5.x86_64+rt",
            ("kernel-rt-devel-5.14.0-503.11.1.el9_5.x86_64.rpm", "kernel-5.14.0-503.11.1.el9_5.src.rpm"),
        ),
    ],
)
def test_rhel_is_refused_by_the_names_of_what_it_needs(
    text: str, names: tuple[str, str], tmp_path: Path
) -> None:
    assert rhel.name_packages(parse_release(text)) == names
    with pytest.raises(StageError, match="modules for rhel 9 are not built by this version") as caught:
        known.read_kernel_packages(parse_release(text), tmp_path)
    assert all(name in str(caught.value) for name in names)


def test_where_the_source_archive_lies(tmp_path: Path) -> None:
    package = known.load_known_kernels()["6.1.0-56-amd64"].source
    with pytest.raises(StageError, match="has 0 source archives"):
        find_archive(tmp_path, package)
    deep = tmp_path / "usr/src/linux-source-5.15.0/linux-source-5.15.0.tar.bz2"
    deep.parent.mkdir(parents=True)
    deep.touch()
    assert find_archive(tmp_path, package) == deep
