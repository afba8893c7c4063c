# SPDX-License-Identifier: Apache-2.0
"""A directory that apt reads: packages, their index, and a Release file with its hashes, signed where a key is given.

A flat repository (sources.list(5): the suite is "./"), because it serves one purpose and one architecture.
"""

import email.utils
import hashlib
import lzma
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process, store
from driver_builds.errors import ArtifactError, DriverBuildError, RefusedAsUnsafe, UsageError
from driver_builds.packages.deb import load_control
from driver_builds.packages.templates import render_template

ORIGIN = "studio-bypass"
SUITE = "netmap"


@dataclass(frozen=True, slots=True)
class Published:
    """What is in the repository now; `changed` is false where the same packages were there already."""

    changed: bool
    packages: tuple[str, ...]
    signed_by: str | None


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file the Release file vouches for."""

    name: str
    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()


def render_stanza(control: str, file_name: str, content: bytes) -> str:
    """The entry of one package in `Packages`: its control file and where it is."""
    return (
        f"{control.rstrip()}\n"
        f"Filename: ./{file_name}\n"
        f"Size: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def render_index(folder: Path) -> str:
    """`Packages` for all packages in `folder`, by name; raises UsageError when there is none."""
    files = sorted(folder.glob("*.deb"))
    if not files:
        raise UsageError(f"{folder}: holds no packages; run driver-builds package first, or give --packages")
    return "\n".join(render_stanza(load_control(path), path.name, path.read_bytes()) for path in files)


def render_release(files: Sequence[IndexFile], epoch_s: int) -> str:
    """The Release file that vouches for `files`; `epoch_s` is its date."""
    date = email.utils.formatdate(epoch_s, usegmt=True).replace("GMT", "UTC")
    architectures = sorted(set(re.findall(rb"(?m)^Architecture: (\S+)$", files[0].content)))
    return render_template(
        "release",
        origin=ORIGIN,
        suite=SUITE,
        date=date,
        architectures=[name.decode() for name in architectures],
        files=files,
    )


def publish(packages: Path, repository: Path, key: str | None, waiting: Callable[[Path], None]) -> Published:
    """Makes `repository` hold exactly the packages of the folder `packages`; a reader sees the old or the new one.

    `key` is the id of a key in gpg's own keyring; its agent asks for a passphrase where one is needed.
    """
    index = render_index(packages).encode()
    names = tuple(sorted(path.name for path in packages.glob("*.deb")))
    repository = repository.absolute()
    with store.locked(repository, waiting=waiting):
        store.restore_directory(repository)
        _check_target(repository)
        if _is_same(repository, index, key):
            return Published(False, names, key)
        with store.scratch_beside(repository) as folder:
            for name in names:
                shutil.copyfile(packages / name, folder / name)
            # What was hashed is what was copied, also when somebody packages at the same time.
            if render_index(folder).encode() != index:
                raise DriverBuildError(f"{packages}: changed while it was read; publish again")
            _write_index(folder, index)
            if key is not None:
                _sign(folder, key)
            store.replace_directory(folder, repository)
    return Published(True, names, key)


def _check_target(repository: Path) -> None:
    """Refuses to replace a folder that is something else."""
    if repository.is_dir() and any(repository.iterdir()) and not (repository / "Release").is_file():
        raise RefusedAsUnsafe(
            f"{repository}: is neither empty nor a repository; publish would replace it: give another --repository"
        )


def _is_same(repository: Path, index: bytes, key: str | None) -> bool:
    path = repository / "Packages"
    if not path.is_file() or path.read_bytes() != index:
        return False
    try:
        if render_index(repository).encode() != index:
            return False
    except (ArtifactError, UsageError):
        return False
    signed = repository / "Release.gpg"
    return signed.is_file() and _is_signed_by(repository, key) if key else not signed.exists()


def _write_index(folder: Path, index: bytes) -> None:
    files = [IndexFile("Packages", index), IndexFile("Packages.xz", lzma.compress(index, preset=6))]
    for file in files:
        (folder / file.name).write_bytes(file.content)
    epoch_s = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    (folder / "Release").write_text(render_release(files, epoch_s), "utf-8")


def _sign(folder: Path, key: str) -> None:
    command = ["gpg", "--batch", "--yes", "--local-user", key, "--digest-algo", "SHA256"]
    for more in (
        ["--clear-sign", "--output", "InRelease", "Release"],
        ["--armor", "--detach-sign", "--output", "Release.gpg", "Release"],
    ):
        done = process.run([*command, *more], cwd=folder, environment=process.fetch_environment())
        if done.status != 0:
            said = " ".join(done.output.split())
            raise DriverBuildError(
                f"publish: gpg cannot sign with {key}: {said}; look for the key with gpg --list-secret-keys"
            )


def _is_signed_by(repository: Path, key: str) -> bool:
    environment = process.fetch_environment()
    done = process.run(
        ["gpg", "--batch", "--status-fd", "1", "--verify", "Release.gpg", "Release"],
        cwd=repository,
        environment=environment,
    )
    known = process.run(
        ["gpg", "--batch", "--with-colons", "--list-secret-keys", key], environment=environment
    )
    fingerprints = re.findall(r"(?m)^fpr:+([0-9A-F]+):", known.output)
    valid = re.findall(r"(?m)^\[GNUPG:\] VALIDSIG (?:(\S+) )", done.output)
    return done.status == 0 and bool(set(valid) & set(fingerprints))
