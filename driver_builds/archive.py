# SPDX-License-Identifier: Apache-2.0
"""Fetching and unpacking what others wrote: nothing lands outside the target folder, no device, no owner."""

import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from driver_builds import process
from driver_builds.errors import DriverBuildError, RefusedAsUnsafe

_TIMEOUT_S = 60


def download(url: str, target: Path) -> None:
    """Fetches `url` into the file `target`; the DriverBuildError it raises says nothing but why it cannot."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response, target.open("wb") as stream:
            shutil.copyfileobj(response, stream)
    except (urllib.error.URLError, OSError) as error:
        raise DriverBuildError(str(getattr(error, "reason", error))) from error


def unpack_git(git: Sequence[str], revision: str, target: Path) -> None:
    """Unpacks a revision into the new folder `target`; `git` are the options that say where the repository is."""
    command = ["git", *git, "archive", "--format=tar", revision]
    with process.stream_output(command, environment=process.fetch_environment()) as tar:
        unpack_tar_stream(tar, target)


def unpack_tarball(path: Path, target: Path) -> None:
    """Unpacks a tar file (plain, gz, bz2 or xz) into the new folder `target`."""
    with path.open("rb") as stream:
        _unpack(stream, "r:*", str(path), target)


def unpack_tar_stream(stream: IO[bytes], target: Path) -> None:
    """Unpacks an uncompressed tar that a program writes into the new folder `target`."""
    _unpack(stream, "r|", "the tar stream", target)


def _unpack(stream: IO[bytes], mode: str, name: str, target: Path) -> None:
    target.mkdir(parents=True)
    try:
        # typeshed knows the modes as literals only.
        with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
            tar.extractall(target, filter="data")
    except tarfile.FilterError as error:
        raise RefusedAsUnsafe(f"{name}: refused: {error}") from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DriverBuildError(f"{name}: not a whole tar archive: {error}") from error
