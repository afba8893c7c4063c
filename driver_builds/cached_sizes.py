# SPDX-License-Identifier: Apache-2.0
"""How large the cache's entries are: counted file by file, and remembered where an entry never changes.

An unpacked kernel has 15,000 files: a cache of twenty takes longer to count than a module takes to build.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from driver_builds import store

# Filled once under another name and renamed into place (store.fill_once): another content is another inode.
_FILLED_ONCE = frozenset({"kernels", "sources", "chroots", "images", "trees"})
_FILE_NAME = ".sizes.json"


def measure(path: Path) -> tuple[int, float]:
    """Bytes on disk and the time of the last use of any file in it (Unix time); a file with two names counts once."""
    total, used_s, seen = 0, 0.0, set()
    for status in _walk(path):
        if status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
            used_s = max(used_s, status.st_mtime, status.st_atime)
    return total, used_s or path.lstat().st_mtime


def _walk(path: Path) -> Iterator[os.stat_result]:
    """What lstat says of every file, those that go meanwhile left out. os.walk takes three times as long."""
    if path.is_symlink() or not path.is_dir():
        yield path.lstat()
        return
    folders = [os.fspath(path)]
    while folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        yield entry.stat(follow_symlinks=False)


def measure_total(cache: Path, entries: Iterable[tuple[str, Path]]) -> int:
    """Bytes on disk of all `entries` (category, path) of the cache; call it with the cache held alone."""
    before = _load(cache)
    remembered: dict[str, int] = {}
    total = 0
    for category, path in entries:
        status = path.lstat()
        identity = f"{path.relative_to(cache)} {status.st_ino} {status.st_ctime_ns}"
        size = before.get(identity)
        if size is None:
            size = measure(path)[0]
        if category in _FILLED_ONCE:
            remembered[identity] = size
        total += size
    if remembered != before:
        with contextlib.suppress(OSError):  # a full disk: they are counted again next time
            store.write_file(cache / _FILE_NAME, json.dumps(remembered, indent=0))
    return total


def _load(cache: Path) -> Mapping[str, int]:
    """What was remembered; nothing when the file is missing or is not what measure_total wrote."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((cache / _FILE_NAME).read_text("utf-8"))
        if isinstance(found, dict) and all(type(size) is int for size in found.values()):
            return found
    return {}
