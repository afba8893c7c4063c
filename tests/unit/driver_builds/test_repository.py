# SPDX-License-Identifier: Apache-2.0
"""The repository, read by a real apt with a root folder of its own, and signed by a real gpg."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli.main import app
from driver_builds.errors import DriverBuildError, RefusedAsUnsafe, UsageError
from driver_builds.packages import modules
from driver_builds.packages.repository import IndexFile, publish, render_index, render_release
from driver_builds.packages.write import write_package

from .small_artifacts import build_artifacts
from .test_packages import check_golden

RELEASES = ("6.1.0-55-amd64", "6.1.0-56-amd64")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for release in RELEASES:
        chosen = modules.choose_modules(build_artifacts(tmp_path / "artifacts" / release), [])
        write_package(modules.build_package(chosen, load_netmap_pin()), tmp_path / "packages", 1770748197)
    return tmp_path / "packages"


def run_publish(packages: Path, key: str | None = None) -> bool:
    return publish(packages, packages.parent / "repository", key, lambda _: None).changed


def test_index_is_as_agreed(packages: Path) -> None:
    # Size and hash are those of compressed data: another liblzma may pack it in another way.
    text = re.sub(r"(?m)^(Size: |SHA256: ).*$", r"\1…", render_index(packages))
    check_golden("Packages.txt", text)


def test_release_is_as_agreed() -> None:
    files = [
        IndexFile("Packages", b"Package: a\nArchitecture: amd64\n"),
        IndexFile("Packages.xz", b"x" * 999),
    ]
    check_golden("Release.txt", render_release(files, 1770748197))


def test_publishing_again_changes_nothing(packages: Path) -> None:
    assert run_publish(packages)
    repository = packages.parent / "repository"
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in repository.iterdir()}
    assert not run_publish(packages)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in repository.iterdir()} == before


def test_a_package_that_is_gone_or_damaged_is_seen(packages: Path) -> None:
    run_publish(packages)
    repository = packages.parent / "repository"
    copy = next(repository.glob("*.deb"))
    copy.write_bytes(b"damaged")
    assert run_publish(packages)
    copy.unlink()
    assert run_publish(packages)
    next(packages.glob("*.deb")).unlink()
    assert run_publish(packages)
    assert len(list(repository.glob("*.deb"))) == 1


def test_nothing_to_publish_and_a_folder_that_is_something_else(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no packages"):
        run_publish(tmp_path / "empty")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "diary.txt").write_text("dear diary")
    with pytest.raises(RefusedAsUnsafe, match="neither empty nor a repository"):
        run_publish(packages)
    assert (tmp_path / "repository" / "diary.txt").exists()


class Apt:
    """apt with its own sources, lists and caches below `root`; the machine's own are not read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (
            "etc/apt/sources.list.d",
            "etc/apt/apt.conf.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg",
        ):
            (root / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        settings = {
            "Dir": str(root),
            "Dir::State::status": str(root / "var/lib/dpkg/status"),
            "Dir::Bin::Methods": "/usr/lib/apt/methods",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
        }
        self.config = root / "apt.conf"
        self.config.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "APT_CONFIG": str(self.config), "LC_ALL": "C"},
        )

    def set_source(self, line: str) -> None:
        (self.root / "etc/apt/sources.list").write_text(f"{line}\n")


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    if not shutil.which("apt-get"):
        pytest.skip("NOT TESTED: the repository by apt; this host has none")
    return Apt(tmp_path / "apt")


def test_apt_lists_and_downloads_from_it(packages: Path, apt: Apt) -> None:
    arguments = ["publish", "--packages", str(packages), "--repository", str(packages.parent / "repository")]
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert document["changed"] is True
    apt.set_source(document["source"])
    updated = apt.run("apt-get", "update")
    assert updated.returncode == 0, updated.stderr
    assert "W:" not in updated.stderr
    found = apt.run("apt-cache", "pkgnames", "netmap-modules-").stdout.split()
    assert sorted(found) == [f"netmap-modules-{release}" for release in RELEASES]
    downloaded = apt.run("apt-get", "download", found[0])
    assert downloaded.returncode == 0, downloaded.stderr
    (file,) = apt.root.glob("*.deb")
    wanted = {hashlib.sha256(path.read_bytes()).hexdigest() for path in packages.glob("*.deb")}
    assert hashlib.sha256(file.read_bytes()).hexdigest() in wanted


def test_apt_refuses_a_changed_package(packages: Path, apt: Apt) -> None:
    run_publish(packages)
    repository = packages.parent / "repository"
    apt.set_source(f"deb [trusted=yes] file:{repository} ./")
    assert apt.run("apt-get", "update").returncode == 0
    for path in repository.glob("*.deb"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert apt.run("apt-get", "download", f"netmap-modules-{RELEASES[0]}").returncode != 0


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fingerprint of a key in a keyring of its own, with a short path: gpg's agent has a socket there."""
    if not shutil.which("gpg"):
        pytest.skip("NOT TESTED: signing by gpg; apt-get install gpg gpg-agent")
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    monkeypatch.setenv("GNUPGHOME", str(home))
    command = [
        "gpg",
        "--batch",
        "--passphrase",
        "",
        "--quick-gen-key",
        "lab@example.invalid",
        "rsa2048",
        "sign",
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    listed = subprocess.run(
        ["gpg", "--with-colons", "--list-secret-keys"], capture_output=True, text=True, check=True
    )
    yield next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr:"))
    subprocess.run(["gpgconf", "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


def test_apt_takes_a_signed_repository_and_refuses_an_unsigned_one(
    packages: Path, apt: Apt, key: str
) -> None:
    assert run_publish(packages)
    assert run_publish(packages, key)
    assert not run_publish(packages, key)
    exported = subprocess.run(["gpg", "--armor", "--export", key], capture_output=True, check=True).stdout
    keyring = apt.root / "netmap.asc"
    keyring.write_bytes(exported)
    repository = packages.parent / "repository"
    apt.set_source(f"deb [signed-by={keyring}] file:{repository} ./")
    updated = apt.run("apt-get", "update")
    assert updated.returncode == 0, updated.stderr
    assert apt.run("apt-cache", "pkgnames", "netmap-modules-").stdout.split()
    assert run_publish(packages)  # without the key again: the signatures go
    assert not (repository / "InRelease").exists()
    assert apt.run("apt-get", "update").returncode != 0


def test_an_unknown_key_leaves_the_repository_as_it_was(packages: Path, key: str) -> None:
    assert run_publish(packages, key)
    before = (packages.parent / "repository" / "InRelease").read_bytes()
    with pytest.raises(DriverBuildError, match="gpg cannot sign with nobody"):
        run_publish(packages, "nobody@example.invalid")
    assert (packages.parent / "repository" / "InRelease").read_bytes() == before
