# SPDX-License-Identifier: Apache-2.0
"""Archives: which releases can have a kernel, our own apt state, addresses, and real fetching from a file: mirror."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver_builds.distributions import Package, apt, archives, mirrors
from driver_builds.distributions.mirrors import Mirrors, parse_index_targets, parse_mirror
from driver_builds.distributions.releases import find_distributions, get_distribution, read_host_name
from driver_builds.distributions.rt_patches import parse_series, select_parts
from driver_builds.errors import ConfigError, RefusedAsUnsafe, StageError, UsageError
from driver_builds.release import parse_release
from driver_builds.tree_hash import hash_file


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("5.10.0-46-amd64", ["debian 11"]),
        ("5.10.0-46-rt-amd64", ["debian 11"]),
        ("6.1.0-0.deb11.52-cloud-amd64", ["debian 11"]),
        ("6.1.0-56-amd64", ["debian 12"]),
        ("6.12.117+deb12-amd64", ["debian 12"]),
        ("6.5.0-0.deb12.4-amd64", ["debian 12"]),
        ("6.12.9+bpo-amd64", ["debian 12", "debian 13"]),
        ("6.12.117+deb13-rt-amd64", ["debian 13"]),
        ("6.12.115+deb13.1-amd64", ["debian 13"]),
        ("7.3.4+deb13-cloud-amd64", ["debian 13"]),
    ],
)
def test_which_release_has_a_kernel(text: str, names: list[str]) -> None:
    assert [found.name for found in find_distributions(parse_release(text))] == names


@pytest.mark.parametrize("text", ["9.9.0-1-amd64", "6.12.1+deb99-amd64", "5.10.0-0.deb10.1-amd64"])
def test_kernels_of_no_release_known_here(text: str) -> None:
    with pytest.raises(StageError, match="no distribution known here"):
        find_distributions(parse_release(text))


def test_the_host_in_the_data_files_words(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n')
    assert get_distribution(read_host_name(file)).codename == "trixie"
    assert read_host_name(tmp_path / "none") == "unknown"
    with pytest.raises(ConfigError, match="no distribution unknown; it has debian 11"):
        get_distribution("unknown")


TARGETS = """\
MetaKey: main/binary-amd64/Packages
Repo-URI: https://deb.example/node/
Codename: nodistro
Origin: Somebody

MetaKey: main/binary-amd64/Packages
Codename: bookworm
Origin: Debian
Repo-URI: http://mirror.example/debian/

MetaKey: main/binary-amd64/Packages
Codename: bookworm-security
Origin: Debian
Repo-URI: http://security.example/debian-security/
"""


def test_the_mirror_is_the_hosts_own() -> None:
    found = parse_index_targets(TARGETS)
    assert found == Mirrors("http://mirror.example/debian", "http://security.example/debian-security")
    without = parse_index_targets("\n\n".join(TARGETS.split("\n\n")[:2]))
    assert without == Mirrors("http://mirror.example/debian", "http://mirror.example/debian-security")
    assert parse_index_targets(TARGETS.split("\n\n")[0]) is None
    assert parse_index_targets("E: no such command") is None


def test_the_mirror_that_is_given() -> None:
    assert parse_mirror("https://m.example/debian/") == Mirrors(
        "https://m.example/debian", "https://m.example/debian-security"
    )
    assert parse_mirror("file:/srv/a, file:/srv/b") == Mirrors("file:/srv/a", "file:/srv/b")
    for wrong in ("", "m.example", "https://", "https://a b/", "https://a/,https://b/,https://c/", "-o x"):
        with pytest.raises(UsageError, match="not an address"):
            parse_mirror(wrong)


@given(st.text(max_size=40))
def test_whatever_passes_as_a_mirror_is_one_word(text: str) -> None:
    try:
        found = parse_mirror(text)
    except UsageError:
        return
    for address in (found.main, found.security):
        assert len(address.split()) == 1
        assert not address.startswith("-")


def test_sources_are_signed_by_the_archives_own_keyring() -> None:
    text = archives.render_sources(
        get_distribution("debian 12"), Mirrors("http://m/debian", "http://s/security")
    )
    keyring = "[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    lines = text.splitlines()
    assert f"deb {keyring} http://m/debian bookworm-backports main" in lines
    assert f"deb {keyring} http://s/security bookworm-security main" in lines
    assert f"deb-src {keyring} http://m/debian bookworm main" in lines
    assert all("signed-by=" in line and "trusted" not in line for line in lines)


def test_the_configuration_keeps_out_of_the_hosts_apt(tmp_path: Path) -> None:
    """apt itself says what it would read and write."""
    transport = ['Acquire::http::Proxy "http://proxy.example:3128";']
    file = tmp_path / "apt.conf"
    file.write_text(archives.render_configuration(tmp_path / "state", transport))
    done = subprocess.run(
        ["apt-config", "dump"],
        env={**os.environ, "APT_CONFIG": str(file), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    settings = dict(line.rstrip(";").split(" ", 1) for line in done.stdout.splitlines())
    for name in ("Dir::State", "Dir::State::lists", "Dir::State::status", "Dir::Cache", "Dir::Etc"):
        assert settings[name].startswith(f'"{tmp_path}/state')
    assert settings["Dir::Etc::sourceparts"] == settings["Dir::Etc::parts"] == '"/dev/null"'
    assert settings["Acquire::http::Proxy"] == '"http://proxy.example:3128"'
    assert archives.parse_transport_settings(done.stdout)[:1] == ['Acquire::http "";']
    assert not any("Dir::" in line for line in archives.parse_transport_settings(done.stdout))


PACKAGES = """\
Package: libc6
Version: 2.36
Architecture: amd64

Package: linux-headers-6.1.0-56-amd64
Source: linux
Version: 6.1.192-2
Architecture: amd64
Maintainer: Somebody
Depends: linux-headers-6.1.0-56-common (= 6.1.192-2)
Filename: pool/updates/main/l/linux/linux-headers-6.1.0-56-amd64_6.1.192-2_amd64.deb
Size: 1841356
SHA256: aa

Package: linux-doc
Version: 1
Architecture: all
"""

SOURCES = """\
Package: linux-apt
Version: 1
Directory: pool/main/l/linux-apt
Checksums-Sha256:
 cc 3 linux-apt_1.debian.tar.xz

Package: linux-6.12
Version: 6.12.117-1~deb12u1
Directory: pool/updates/main/l/linux-6.12
Checksums-Sha256:
 aa 10 linux-6.12_6.12.117-1~deb12u1.dsc
 bb 20 linux-6.12_6.12.117-1~deb12u1.debian.tar.xz
"""


def test_the_index_keeps_kernels_only() -> None:
    found = archives.parse_kernels(PACKAGES)
    assert [stanza["Package"] for stanza in found] == ["linux-headers-6.1.0-56-amd64"]
    again = apt.parse_stanzas(archives.render_kernel(found[0], "bookworm-security"))
    package = apt.build_package({**again[0], "SHA256": "a" * 64})
    assert package.suite == "bookworm-security"
    assert "Maintainer" not in again[0]
    assert Mirrors("http://m", "http://s").get_url(package).startswith("http://s/pool/updates/main/l/linux/")


def test_sources_are_known_by_their_tarball_of_patches() -> None:
    (found,) = archives.parse_kernel_sources(SOURCES)
    assert found["Filename"] == "pool/updates/main/l/linux-6.12/linux-6.12_6.12.117-1~deb12u1.debian.tar.xz"
    assert (found["SHA256"], found["Size"], found["Architecture"]) == ("bb", "20", "source")


def test_versions_by_dpkgs_rules() -> None:
    versions = ["6.12.95-1~bpo12+1", "6.12.117-1~deb12u1", "6.12.117-1", "6.12.107-1"]
    ordered = archives.sort_versions([{"Version": version} for version in versions])
    assert [stanza["Version"] for stanza in ordered] == [
        "6.12.117-1",
        "6.12.117-1~deb12u1",
        "6.12.107-1",
        "6.12.95-1~bpo12+1",
    ]


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    distribution = get_distribution("debian 12").model_copy(update={"keyring": str(tmp_path / "none.gpg")})
    with pytest.raises(StageError, match=r"none\.gpg is not there; apt-get install debian-archive-keyring"):
        archives.read_index(distribution, tmp_path / "cache")


PATCH = """\
From: Somebody
Subject: two drivers

diff --git a/drivers/net/ethernet/intel/igb/igb_main.c b/drivers/net/ethernet/intel/igb/igb_main.c
index 1..2 100644
--- a/drivers/net/ethernet/intel/igb/igb_main.c
+++ b/drivers/net/ethernet/intel/igb/igb_main.c
@@ -1 +1 @@
-old
+new
diff --git a/drivers/net/veth.c b/drivers/net/veth.c
--- a/drivers/net/veth.c
+++ b/drivers/net/veth.c
@@ -1 +1 @@
-old
+new
--- a/drivers/net/vethernet.c
+++ b/drivers/net/vethernet.c
@@ -1 +1 @@
-old
+new
"""


def test_only_the_members_part_of_a_patch_is_taken() -> None:
    igb = "".join(select_parts(PATCH, ["drivers/net/ethernet/intel/igb"]))
    assert igb.startswith("diff --git a/drivers/net/ethernet/intel/igb")
    assert "veth" not in igb
    veth = "".join(select_parts(PATCH, ["drivers/net/veth.c"]))
    assert veth.count("@@ -1 +1 @@") == 1
    assert "vethernet" not in veth
    assert list(select_parts(PATCH, ["drivers/net/ethernet/intel/ig"])) == []
    assert "".join(select_parts(PATCH, ["drivers"])) == PATCH[PATCH.index("diff --git") :]


def test_series() -> None:
    assert parse_series("# heading\n\none.patch\n two.patch -p1 # why\n") == ["one.patch", "two.patch"]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Package]:
    """A mirror in a folder, with one package of 300 kB."""
    file = tmp_path / "mirror/pool/main/l/linux/linux-source-6.1_1_all.deb"
    file.parent.mkdir(parents=True)
    file.write_bytes(os.urandom(300_000))
    monkeypatch.setenv(mirrors.VARIABLE, f"file:{tmp_path}/mirror")
    place = str(file.relative_to(tmp_path / "mirror"))
    return file, Package("linux-source-6.1", "1", "all", hash_file(file), 300_000, place, "bookworm")


def test_fetching(mirror: tuple[Path, Package], tmp_path: Path) -> None:
    file, package = mirror
    fetched = apt.fetch_package(package, tmp_path / "cache")
    assert fetched == tmp_path / "cache/packages/linux-source-6.1_1_all.deb"
    assert not fetched.is_symlink()
    assert fetched.read_bytes() == file.read_bytes()
    file.unlink()
    assert apt.fetch_package(package, tmp_path / "cache") == fetched, "what is in the cache needs no mirror"


def test_a_changed_byte_in_the_archive(mirror: tuple[Path, Package], tmp_path: Path) -> None:
    file, package = mirror
    whole = file.read_bytes()
    file.write_bytes(b"x" + whole[1:])
    with pytest.raises((StageError, RefusedAsUnsafe)) as caught:
        apt.fetch_package(package, tmp_path / "cache")
    assert "linux-source-6.1" in str(caught.value)
    assert not apt.get_package_path(package, tmp_path / "cache").exists()
    file.write_bytes(whole)
    assert apt.fetch_package(package, tmp_path / "cache").read_bytes() == whole


def test_a_download_that_was_cut_short(mirror: tuple[Path, Package], tmp_path: Path) -> None:
    file, package = mirror
    partial = apt.get_partial_path(package, tmp_path / "cache")
    partial.parent.mkdir(parents=True)
    for start in (file.read_bytes()[:100_000], b"wrong from the first byte", os.urandom(300_000)):
        partial.write_bytes(start)
        fetched = apt.fetch_package(package, tmp_path / "cache")
        assert fetched.read_bytes() == file.read_bytes()
        fetched.unlink()


def test_what_to_do_without_a_network(mirror: tuple[Path, Package], tmp_path: Path) -> None:
    file, package = mirror
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(StageError) as caught:
        apt.fetch_package(package, tmp_path / "cache")
    said = str(caught.value)
    place = tmp_path / "cache/packages/linux-source-6.1_1_all.deb"
    assert f"file:{tmp_path}/mirror/pool/main/l/linux/linux-source-6.1_1_all.deb" in said
    assert package.sha256 in said
    assert f"put it at {place}" in said
    place.write_bytes(whole[:-1])
    with pytest.raises(RefusedAsUnsafe, match="has 299999 bytes"):
        apt.fetch_package(package, tmp_path / "cache")
    place.write_bytes(whole)
    assert apt.fetch_package(package, tmp_path / "cache") == place


def test_without_any_mirror_the_message_says_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirrors.VARIABLE, "nonsense")
    package = Package("linux", "1", "source", "a" * 64, 1, "pool/main/l/linux/x", "bookworm")
    assert mirrors.describe_url(package) == "<mirror>/pool/main/l/linux/x"
    assert mirrors.describe_url(replace(package, suite="bookworm-security")).startswith("<security mirror>/")
