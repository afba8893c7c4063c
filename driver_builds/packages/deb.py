# SPDX-License-Identifier: Apache-2.0
"""Debian binary packages (deb(5)): a value to bytes, and the control fields of a file.

Written here and not by dpkg-deb, so that they need no Debian build host and come out the same under every dpkg:
members in one order, one time, one owner, one compressor with one setting.
"""

import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from driver_builds.errors import ArtifactError

_MAGIC = b"!<arch>\n"
_XZ_PRESET = 6  # what dpkg-deb takes; dpkg reads xz since 1.15.6


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package: `path` below the root, without a leading slash."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Deb:
    """One package. `fields` go into its control file in their order; `scripts` by name ("postinst")."""

    name: str
    version: str
    architecture: str
    fields: Mapping[str, str]
    entries: Sequence[Entry]
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def render_control(deb: Deb) -> str:
    """The control file (deb-control(5)); Installed-Size in KiB, each file rounded up, as dpkg-gencontrol counts."""
    size_kib = sum((len(entry.content) + 1023) // 1024 for entry in deb.entries)
    fields = {
        "Package": deb.name,
        "Version": deb.version,
        "Architecture": deb.architecture,
        "Installed-Size": str(size_kib),
        **deb.fields,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def render_deb(deb: Deb, epoch_s: int) -> bytes:
    """The package's bytes; every time in it is `epoch_s` (seconds since 1970)."""
    control = [
        Entry("control", render_control(deb).encode()),
        Entry("md5sums", _render_md5sums(deb.entries).encode()),
        *(Entry(name, text.encode(), 0o755) for name, text in deb.scripts.items()),
    ]
    settings = [entry.path for entry in deb.entries if entry.path.startswith("etc/")]
    if settings:
        control.append(Entry("conffiles", "".join(f"/{path}\n" for path in sorted(settings)).encode()))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": _render_tar(control, epoch_s),
        "data.tar.xz": _render_tar(deb.entries, epoch_s),
    }
    return _MAGIC + b"".join(_render_member(name, data, epoch_s) for name, data in members.items())


def _render_md5sums(entries: Sequence[Entry]) -> str:
    lines = (
        f"{hashlib.md5(entry.content, usedforsecurity=False).hexdigest()}  {entry.path}\n"
        for entry in sorted(entries, key=lambda entry: entry.path)
        if not entry.path.startswith("etc/")
    )
    return "".join(lines)


def _render_member(name: str, data: bytes, epoch_s: int) -> bytes:
    header = f"{name:<16}{epoch_s:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)


def _render_tar(entries: Sequence[Entry], epoch_s: int) -> bytes:
    buffer = io.BytesIO()
    files = {f"./{entry.path}": entry for entry in entries}
    folders = {f"{path}/" for entry in entries for path in _find_parents(entry.path)}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(folders | set(files)):
            info = tarfile.TarInfo(name if name in files else name.rstrip("/") or ".")
            info.mtime, info.uname, info.gname = epoch_s, "root", "root"
            if name in files:
                info.mode, info.size = files[name].mode, len(files[name].content)
                tar.addfile(info, io.BytesIO(files[name].content))
            else:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
    return lzma.compress(buffer.getvalue(), check=lzma.CHECK_CRC64, preset=_XZ_PRESET)


def _find_parents(path: str) -> Iterator[str]:
    for parent in PurePosixPath(path).parents:
        yield "." if str(parent) == "." else f"./{parent}"


def load_control(path: Path) -> str:
    """The control file's text of a package that `render_deb` wrote; raises ArtifactError."""
    try:
        for name, data in _read_members(path.read_bytes()):
            if name == "control.tar.xz":
                with tarfile.open(fileobj=io.BytesIO(lzma.decompress(data))) as tar:
                    stream = tar.extractfile("./control")
                    assert stream is not None
                    return stream.read().decode("utf-8")
    except (OSError, ValueError, KeyError, lzma.LZMAError, tarfile.TarError, AssertionError) as error:
        raise ArtifactError(f"{path}: not a whole Debian package: {error!r}; package again") from error
    raise ArtifactError(
        f"{path}: has no control.tar.xz; only packages of `driver-builds package` are published"
    )


def _read_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no ar archive")
    at = len(_MAGIC)
    while at < len(data):
        header = data[at : at + 60]
        size = int(header[48:58])
        content = data[at + 60 : at + 60 + size]
        if len(content) != size:
            raise ValueError("cut off")
        yield header[:16].decode("ascii").strip().rstrip("/"), content
        at += 60 + size + size % 2
