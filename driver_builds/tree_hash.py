# SPDX-License-Identifier: Apache-2.0
"""A hash of a source tree that does not depend on what carried it.

The same commit gives another tarball with another git or another compressor, so archives are not hashed; the
files are. The hash is SHA-256 over one line per file, sorted by path as bytes:

    <mode> SP <SHA-256 of the content, hex> SP <path> NUL

with git's modes: 100644, 100755 (owner may execute) and 120000 (symbolic link; its content is the target).
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from driver_builds.errors import RefusedAsUnsafe


def hash_file(path: Path) -> str:
    """SHA-256 of one file's content, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_tree(root: Path) -> str:
    """The tree hash of all files below `root`; a `.git` at its top is not part of it."""
    return hash_entries(_read_entries(root))


def hash_entries(entries: Iterable[tuple[str, str, str]]) -> str:
    """The tree hash of (path, mode, content hash) entries, in any order."""
    total = hashlib.sha256()
    for path, mode, content in sorted(entries, key=lambda entry: os.fsencode(entry[0])):
        total.update(f"{mode} {content} ".encode() + os.fsencode(path) + b"\0")
    return total.hexdigest()


def _read_entries(root: Path) -> Iterator[tuple[str, str, str]]:
    for folder, folders, names in os.walk(root, onerror=_raise):
        here = Path(folder)
        if here == root:
            # A folder in a clone, a file in a linked work tree.
            folders[:] = [name for name in folders if name != ".git"]
            names = [name for name in names if name != ".git"]
        # os.walk lists links to directories among the directories; for git they are links.
        links = [name for name in folders if (here / name).is_symlink()]
        for name in names + links:
            path = here / name
            yield os.path.relpath(path, root), *_read_entry(path)


def _read_entry(path: Path) -> tuple[str, str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "120000", hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
    if not stat.S_ISREG(mode):
        raise RefusedAsUnsafe(f"{path}: neither a file nor a symbolic link; a source tree holds nothing else")
    return "100755" if mode & stat.S_IXUSR else "100644", hash_file(path)


def _raise(error: OSError) -> None:
    raise error
