# SPDX-License-Identifier: Apache-2.0
"""Directories that are whole or not there: filled aside under a lock, then renamed into place."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # renameat2(2)


@contextlib.contextmanager
def locked(target: Path, *, waiting: Callable[[Path], None] | None = None) -> Iterator[int]:
    """Holds the lock of `target` (`.NAME.lock` beside it); calls `waiting` first when another process has it.

    The kernel lets go of the lock when its holder dies, so a killed build never blocks the next one; who inherits
    the descriptor, which is given, is a holder too.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.parent / f".{target.name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting(target)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def fill_once(target: Path, fill: Callable[[Path], None]) -> Path:
    """`target`, filled by `fill(folder)` unless it is there already; safe for many processes at once."""
    if target.is_dir():
        return target
    with locked(target):
        if not target.is_dir():
            with scratch_beside(target) as folder:
                fill(folder)
                folder.rename(target)
    return target


@contextlib.contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A new empty folder on `target`'s file system, removed afterwards unless it was renamed.

    Call it with `target` locked: what a killed process left there is then nobody's, and removed first.
    """
    for left_over in target.parent.glob(f".{target.name}.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_file(path: Path, text: str) -> None:
    """Writes `path` whole or not at all; two writers at once leave the text of one of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.new-", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        fresh.chmod(0o644)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def replace_directory(new: Path, target: Path) -> None:
    """Puts `new` where `target` is, so that a reader sees the one or the other; what was there is removed."""
    if not target.exists():
        new.rename(target)
        return
    try:
        _exchange(new, target)
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EINVAL, errno.EXDEV}:
            raise
        old = _old_name(target)
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)
        return
    shutil.rmtree(new)


def restore_directory(target: Path) -> None:
    """Undoes a replacement that was killed half way on a file system that cannot exchange two names."""
    old = _old_name(target)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _old_name(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def _exchange(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
