# SPDX-License-Identifier: Apache-2.0
"""How much the cache holds, and giving it back: oldest use first, and never while a build works in it."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import cached_sizes

# Everything in these folders comes back by itself when it is needed again; in the order they are shown.
CATEGORIES = (
    *("packages", "kernels", "sources", "chroots", "images", "trees"),
    *("modules", "builds", "apt", "results", "resolved"),
)
# Small, and not to be had again: what tests found, and packages of kernels the archive has dropped since.
_KEPT = frozenset({"results", "resolved"})
_LEFT_OVER = (".new-", ".clean-")
_PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache that goes as a whole; `used_s` is when it was last read or written (Unix time).

    `left_over` is what a killed process left half done.
    """

    category: str
    path: Path
    size_bytes: int
    used_s: float
    left_over: bool = False


@contextlib.contextmanager
def used(cache: Path, waiting: Callable[[Path], None]) -> Iterator[None]:
    """Holds the cache so that nothing is removed from it; any number may. Waits while another process cleans."""
    with _held(cache, fcntl.LOCK_SH, waiting):
        yield


@contextlib.contextmanager
def cleaned(cache: Path, waiting: Callable[[Path], None]) -> Iterator[None]:
    """Holds the cache alone, when all that work in it have ended."""
    with _held(cache, fcntl.LOCK_EX, waiting):
        yield


def trim(cache: Path, keep_bytes: int) -> list[Entry]:
    """Brings the cache down to `keep_bytes` unless a build works in it; what was removed."""
    try:
        with _held(cache, fcntl.LOCK_EX, None):
            found = [(category, path) for category, path, _ in _find(cache)]
            if cached_sizes.measure_total(cache, found) <= keep_bytes:
                return []
            return apply_clean(plan_clean(read_entries(cache), keep_bytes=keep_bytes))
    except BlockingIOError:
        return []


@contextlib.contextmanager
def _held(cache: Path, kind: int, waiting: Callable[[Path], None] | None) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache / ".in-use.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise
            waiting(cache)
            fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def read_entries(cache: Path) -> list[Entry]:
    """All that is in the cache; lock files apart."""
    return [
        Entry(category, path, *cached_sizes.measure(path), left_over)
        for category, path, left_over in _find(cache)
    ]


def _find(cache: Path) -> Iterator[tuple[str, Path, bool]]:
    """(category, path, whether a killed process left it) of every entry."""
    for category in CATEGORIES:
        folder = cache / category
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            left_over = path.name == _PARTIAL or any(mark in path.name for mark in _LEFT_OVER)
            if not path.name.startswith(".") or left_over:
                yield category, path, left_over


def plan_clean(
    entries: Sequence[Entry],
    *,
    keep_bytes: int | None = None,
    older_than_s: float | None = None,
    everything: bool = False,
    now_s: float | None = None,
) -> list[Entry]:
    """What goes: always what killed processes left; everything, what is older, or the oldest down to `keep_bytes`.

    Test results and resolved kernels go only with `everything`.
    """
    going = [entry for entry in entries if entry.left_over or everything]
    rest = sorted(
        (entry for entry in entries if not entry.left_over and not everything), key=lambda entry: entry.used_s
    )
    if older_than_s is not None:
        before_s = (time.time() if now_s is None else now_s) - older_than_s
        going += [entry for entry in rest if entry.category not in _KEPT and entry.used_s < before_s]
    if keep_bytes is not None:
        gone = set(going)
        total = sum(entry.size_bytes for entry in entries if entry not in gone)
        for entry in rest:
            if total > keep_bytes and entry not in gone and entry.category not in _KEPT:
                going.append(entry)
                total -= entry.size_bytes
    return going


def apply_clean(going: Sequence[Entry]) -> list[Entry]:
    """Removes the entries, each by one rename first, so that a killed clean leaves nothing half; what is gone.

    A folder with something mounted in it stays.
    """
    mounts = _read_mounts()
    gone = []
    for entry in going:
        if any(mount == entry.path or entry.path in mount.parents for mount in mounts):
            continue
        aside = entry.path.with_name(f".{entry.path.name.lstrip('.')}.clean-{os.getpid()}")
        entry.path.rename(aside)
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink()
        gone.append(entry)
    return gone


def _read_mounts() -> list[Path]:
    lines = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    return [Path(line.split()[1].replace("\\040", " ")) for line in lines]
