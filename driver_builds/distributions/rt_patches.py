# SPDX-License-Identifier: Apache-2.0
"""The PREEMPT_RT patch set as Debian carries it: applied to the few files drivers are built from, or refused.

Debian's rt kernels are built with it, their linux-source is without it; a driver compiled from the plain source
would not fit the flavour's headers.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from driver_builds import process
from driver_builds.archive import unpack_tarball
from driver_builds.distributions import Package
from driver_builds.errors import StageError

_SERIES = "debian/patches-rt/series"
# The head of one file's part of a patch; git's own line before it stays with it.
_PART = re.compile(r"(?m)^(?:diff --git .*\n(?:(?!diff --git |--- ).*\n)*)?--- (\S+).*\n\+\+\+ (\S+)")


def apply_rt_patches(
    package: Package, archive: Path, members: Sequence[str], folder: Path, scratch: Path
) -> None:
    """Applies the series in `archive` (a debian.tar.xz) to `members` of the kernel source in `folder`.

    Without fuzz, as Debian applies it: a hunk that does not fit raises StageError.
    """
    unpack_tarball(archive, scratch)
    series = scratch / _SERIES
    if not series.is_file():
        raise StageError("unpack", package.name, f"{archive.name} has no {_SERIES}")
    for name in parse_series(series.read_text("utf-8")):
        text = (series.parent / name).read_text("utf-8", "surrogateescape")
        if wanted := "".join(select_parts(text, members)):
            selected = scratch / "selected.patch"
            selected.write_text(wanted, "utf-8", "surrogateescape")
            _apply(package, name, selected, folder)


def parse_series(text: str) -> list[str]:
    """The patches of a quilt series in their order."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line.split()[0] for line in lines if line]


def select_parts(patch: str, members: Sequence[str]) -> Iterator[str]:
    """The parts of a patch that are about one of `members` or a file below it."""
    heads = list(_PART.finditer(patch))
    ends = [head.start() for head in heads[1:]] + [len(patch)]
    for head, end in zip(heads, ends, strict=True):
        paths = {path.split("/", 1)[1] for path in (head[1], head[2]) if "/" in path}
        if any(path == member or path.startswith(f"{member}/") for path in paths for member in members):
            yield patch[head.start() : end]


def _apply(package: Package, name: str, patch: Path, folder: Path) -> None:
    options = ["--strip=1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch"]
    done = process.run(["patch", *options, f"--input={patch}"], cwd=folder)
    if done.status != 0:
        raise StageError(
            "unpack",
            package.name,
            f"the RT patch {name} does not fit the driver sources; no other is taken instead",
            done.output.splitlines()[-10:],
        )
