# SPDX-License-Identifier: Apache-2.0
"""Package files on disk: whole or not there, and left alone when they are the same."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from driver_builds import store
from driver_builds.packages.deb import Deb, render_deb


@dataclass(frozen=True, slots=True)
class Written:
    """One package file; `changed` is false where the very same bytes were there already."""

    file: Path
    changed: bool
    sha256: str
    version: str


def write_package(deb: Deb, output: Path, epoch_s: int) -> Written:
    """Writes `deb` into the folder `output`; an older version of the package there is removed."""
    content = render_deb(deb, epoch_s)
    target = output / deb.file_name
    with store.locked(target):
        changed = not target.is_file() or target.read_bytes() != content
        if changed:
            write_file(target, content)
        for other in output.glob(f"{deb.name}_*_{deb.architecture}.deb"):
            if other != target:
                other.unlink()
    return Written(target, changed, hashlib.sha256(content).hexdigest(), deb.version)


def write_file(target: Path, content: bytes) -> None:
    """Puts `content` at `target`: a reader sees the old file or the new one, also when the disk is full."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.new-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
