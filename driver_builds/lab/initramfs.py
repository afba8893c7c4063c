# SPDX-License-Identifier: Apache-2.0
"""An initramfs written here, without a tool of the host and without a chance order: contents in, one file out."""

import gzip
import stat
from collections.abc import Iterable, Iterator, Mapping

_FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "modules")


def render_initramfs(files: Mapping[str, bytes]) -> bytes:
    """A gzip-compressed initramfs with `files` (path in the guest to content), all executable."""
    entries = [(folder, stat.S_IFDIR | 0o755, b"") for folder in _FOLDERS]
    entries += [(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    return gzip.compress(b"".join(_render_newc(entries)), compresslevel=1, mtime=0)


def _render_newc(entries: Iterable[tuple[str, int, bytes]]) -> Iterator[bytes]:
    # The "new ASCII" format of cpio(5): 13 fields of 8 hex digits, name and content padded to 4 bytes.
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        label = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(label), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + label
        yield head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
