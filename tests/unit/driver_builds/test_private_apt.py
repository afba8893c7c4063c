# SPDX-License-Identifier: Apache-2.0
"""Our own apt state against a real signed archive, made here: only its keyring counts, the host's apt is untouched."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driver_builds.distributions import archives, known, mirrors
from driver_builds.distributions.releases import Distribution, get_distribution
from driver_builds.errors import StageError
from driver_builds.refresh import refresh_kernels
from driver_builds.release import parse_release

CONFIG = 'CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14) 12.2.0"\nCONFIG_E1000=m\nCONFIG_IGB=y\n'
VERSION = "6.1.999-1"
RELEASE = "6.1.0-999-amd64"


class Archive:
    """A Debian archive of one suite in a folder, with the packages of one kernel, signed by a key made for it."""

    def __init__(self, folder: Path, gnupg: Path) -> None:
        self.folder = folder
        self.gnupg = gnupg
        self.keyring = folder / "keyring.gpg"
        self._gpg("--quick-generate-key", "archive@example.invalid", "ed25519", "sign", "never")
        self.keyring.parent.mkdir(parents=True, exist_ok=True)
        self.keyring.write_bytes(self._gpg("--export"))
        self.stanzas: list[str] = []

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback", *arguments]
        environment = {**os.environ, "GNUPGHOME": str(self.gnupg)}
        return subprocess.run(command, check=True, capture_output=True, env=environment).stdout

    def add(
        self, name: str, depends: str = "", files: dict[str, str] | None = None, version: str = VERSION
    ) -> None:
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: t <t@example.invalid>\n"
        )
        control += f"Depends: {depends}\n" if depends else ""
        (tree / "DEBIAN/control").write_text(f"{control}Description: x\n")
        for path, text in (files or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        place = f"pool/main/l/linux/{name}_{version}_amd64.deb"
        file = self.folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--build", tree, file], check=True, capture_output=True)
        digest, size = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
        control += f"Filename: {place}\nSize: {size}\nSHA256: {digest}\nDescription: x\n"
        self.stanzas.append(control)

    def publish(self, suite: str) -> None:
        base = self.folder / "dists" / suite
        contents = {"main/binary-amd64/Packages": "\n".join(self.stanzas), "main/source/Sources": ""}
        lines = []
        for path, text in contents.items():
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).write_text(text)
            lines.append(f" {hashlib.sha256(text.encode()).hexdigest()} {len(text.encode())} {path}")
        head = f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\nArchitectures: amd64\n"
        head += "Components: main\nDate: Sun, 01 Nov 2026 00:00:00 UTC\nSHA256:\n"
        (base / "Release").write_text(head + "\n".join(lines) + "\n")
        self._gpg("--clearsign", "--output", str(base / "InRelease"), str(base / "Release"))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    for program in ("gpg", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"NOT TESTED: our own apt state; {program} is not installed")
    # gpg's agent listens on a socket there, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="gpg-") as gnupg:
        archive = Archive(tmp_path / "debian", Path(gnupg))
        add_kernel(archive, RELEASE)
        archive.publish("bookworm")
        monkeypatch.setenv(mirrors.VARIABLE, f"file:{archive.folder}")
        yield archive
        subprocess.run(["gpgconf", "--kill", "all"], check=False, env={**os.environ, "GNUPGHOME": gnupg})


def add_kernel(archive: Archive, release: str, version: str = VERSION) -> None:
    base = release.removesuffix("-amd64")
    depends = f"linux-headers-{base}-common (= {version}), linux-kbuild-6.1 (>= {version}), linux-compiler-gcc-12-x86"
    config = {f"usr/src/linux-headers-{release}/.config": CONFIG}
    archive.add(f"linux-headers-{release}", depends, config, version)
    for name in (
        f"linux-headers-{base}-common",
        "linux-kbuild-6.1",
        "linux-source-6.1",
        f"linux-image-{release}",
    ):
        archive.add(name, version=version)
    archive.add("bash", version=version)


def _distribution(archive: Archive) -> Distribution:
    changes = {"suites": ("bookworm",), "keyring": str(archive.keyring)}
    return get_distribution("debian 12").model_copy(update=changes)


def test_a_kernel_from_the_index(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution = _distribution(archive)
    monkeypatch.setattr(known, "find_distributions", lambda _: (distribution,))
    packages = known.read_kernel_packages(parse_release(RELEASE), tmp_path / "cache")
    assert packages.compiler_record == "gcc-12 (Debian 12.2.0-14) 12.2.0"
    assert "igb" in packages.absent
    assert "e1000" not in packages.absent
    assert packages.headers.suite == "bookworm"
    index = (tmp_path / "cache/apt/debian-12" / archives.INDEX).read_text()
    assert "Package: bash" not in index
    shutil.rmtree(archive.folder / "dists")
    again = known.read_kernel_packages(parse_release(RELEASE), tmp_path / "cache")
    assert again == packages, "what was resolved needs no archive any more"


def test_an_index_is_fetched_once_until_asked(archive: Archive, tmp_path: Path) -> None:
    distribution = _distribution(archive)
    before = archives.read_index(distribution, tmp_path)
    add_kernel(archive, "6.1.0-1000-amd64", "6.1.1000-1")
    archive.publish("bookworm")
    assert archives.read_index(distribution, tmp_path) == before
    after = archives.read_index(distribution, tmp_path, refresh=True)
    assert len(after) == len(before) + 5


def test_another_keys_archive_is_refused(archive: Archive, tmp_path: Path) -> None:
    stranger = _distribution(archive).model_copy(update={"keyring": get_distribution("debian 12").keyring})
    if not Path(stranger.keyring).is_file():
        pytest.skip(
            f"NOT TESTED: an archive signed by another key; {stranger.keyring_package} is not installed"
        )
    with pytest.raises(StageError, match="its package index could not be fetched") as caught:
        archives.read_index(stranger, tmp_path)
    assert any("NO_PUBKEY" in line or "not signed" in line for line in caught.value.lines)
    assert not (tmp_path / "apt/debian-12" / archives.INDEX).exists()


def test_an_index_changed_after_it_was_signed_is_refused(archive: Archive, tmp_path: Path) -> None:
    packages = archive.folder / "dists/bookworm/main/binary-amd64/Packages"
    packages.write_text(packages.read_text().replace("Version: 6.1.999-1", "Version: 6.1.998-1"))
    with pytest.raises(StageError, match="its package index could not be fetched"):
        archives.read_index(_distribution(archive), tmp_path)


def test_the_hosts_apt_is_not_touched(archive: Archive, tmp_path: Path) -> None:
    def look() -> list[tuple[str, int]]:
        folders = [Path("/etc/apt"), Path("/var/lib/apt/lists"), Path("/var/cache/apt")]
        files = [file for folder in folders for file in folder.rglob("*")]
        return sorted((str(file), file.stat().st_mtime_ns) for file in files if "lock" not in file.name)

    before = look()
    archives.read_index(_distribution(archive), tmp_path)
    assert look() == before


def test_kernels_become_data(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (997, 998):
        add_kernel(archive, f"6.1.0-{number}-amd64", f"6.1.{number}-1")
    archive.publish("bookworm")
    # The newest kernel's headers are in the index, but not on this mirror.
    (archive.folder / f"pool/main/l/linux/linux-headers-{RELEASE}_{VERSION}_amd64.deb").unlink()
    distribution = _distribution(archive)
    monkeypatch.setattr(known, "load_distributions", lambda: (distribution,))
    monkeypatch.setattr(known, "find_distributions", lambda _: (distribution,))
    seen = []
    written = refresh_kernels(
        tmp_path / "cache",
        tmp_path / "kernels",
        1,
        lambda one, problem: seen.append((one.release.text, problem)),
    )
    assert [path.name for path in written] == [f"{RELEASE}.json", "6.1.0-998-amd64.json"]
    assert [release for release, problem in seen if problem is not None] == [RELEASE]
    newest, other = (known.parse_kernel_packages(path.read_text()) for path in written)
    assert newest.compiler_record == ""
    assert other.compiler_record
    assert other.headers.version == "6.1.998-1"
