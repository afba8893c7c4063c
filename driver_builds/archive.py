# SPDX-License-Identifier: Apache-2.0
"""Unpacking tarballs that others wrote: nothing lands outside the target folder, no device, no owner."""

import tarfile
from pathlib import Path
from typing import IO

from driver_builds.errors import DriverBuildError, RefusedAsUnsafe


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
