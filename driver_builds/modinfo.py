# SPDX-License-Identifier: Apache-2.0
"""Reading a kernel module file: its `.modinfo` fields and the versions of the symbols it imports.

Just enough of ELF-64 (System V ABI, chapter 4: file header, section header table, string table) to find two
sections by name. Every offset comes from the file, so every one is checked before it is used.
"""

import lzma
import struct
from dataclasses import dataclass
from pathlib import Path

from driver_builds.errors import ModuleFileError

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_VERSION = struct.Struct("<Q56s")  # struct modversion_info
_ET_REL, _EM_X86_64, _SHT_NOBITS = 1, 62, 8
_LARGEST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """What a module says of itself: names as `modinfo` prints them, `versions` symbol to CRC."""

    name: str
    vermagic: str
    srcversion: str | None
    depends: tuple[str, ...]
    license: str | None
    parameters: tuple[str, ...]
    versions: dict[str, int]

    @property
    def release(self) -> str:
        """The kernel release the module was built for: the first word of its vermagic."""
        return self.vermagic.split(" ", 1)[0]


def load_module_info(path: Path) -> ModuleInfo:
    """Reads FILE.ko or FILE.ko.xz; raises ModuleFileError when it is not an amd64 kernel module."""
    try:
        data = _read_module(path)
        return parse_module(data)
    except ModuleFileError as error:
        raise ModuleFileError(f"{path}: {error}") from error
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise ModuleFileError(f"{path}: cannot be read: {error}") from error


def _read_module(path: Path) -> bytes:
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as stream:
        data = stream.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise ModuleFileError("larger than 256 MiB; no kernel module is")
    return data


def parse_module(data: bytes) -> ModuleInfo:
    """The module in `data`; raises ModuleFileError."""
    sections = parse_sections(data)
    if ".modinfo" not in sections:
        raise ModuleFileError("has no .modinfo section; not a kernel module")
    fields = parse_modinfo(sections[".modinfo"])
    for wanted in ("name", "vermagic"):
        if not fields.get(wanted):
            raise ModuleFileError(f".modinfo has no {wanted}; not a linked kernel module")
    return ModuleInfo(
        name=fields["name"][0],
        vermagic=fields["vermagic"][0].strip(),
        srcversion=fields.get("srcversion", [None])[0],
        depends=tuple(sorted(filter(None, ",".join(fields.get("depends", [])).split(",")))),
        license=fields.get("license", [None])[0],
        parameters=tuple(text.split(":", 1)[0] for text in fields.get("parm", [])),
        versions=parse_versions(sections.get("__versions", b"")),
    )


def parse_modinfo(section: bytes) -> dict[str, list[str]]:
    """`.modinfo`: NUL-terminated `field=value` strings; a field may come more than once."""
    fields: dict[str, list[str]] = {}
    for entry in section.split(b"\0"):
        key, equals, value = entry.decode("utf-8", "replace").partition("=")
        if equals:
            fields.setdefault(key, []).append(value)
    return fields


def parse_versions(section: bytes) -> dict[str, int]:
    """`__versions`: symbol name to CRC, 64 bytes an entry; {} for a module without symbol versions."""
    if len(section) % _VERSION.size:
        raise ModuleFileError(f"__versions has {len(section)} bytes, not a multiple of {_VERSION.size}")
    return {
        name.split(b"\0", 1)[0].decode("ascii", "replace"): crc for crc, name in _VERSION.iter_unpack(section)
    }


def parse_symbol_versions(text: str) -> dict[str, int]:
    """A Module.symvers: CRC TAB symbol TAB module TAB kind, one line each; symbol to CRC."""
    versions = {}
    for line in text.splitlines():
        crc, symbol, *_ = line.split("\t")
        versions[symbol] = int(crc, 16)
    return versions


def parse_sections(data: bytes) -> dict[str, bytes]:
    """Section name to content of a relocatable x86-64 ELF file; the first one of a name wins."""
    if data[:4] != b"\x7fELF" or len(data) < _HEADER.size:
        raise ModuleFileError("not an ELF file")
    if data[4:6] != b"\x02\x01":
        raise ModuleFileError("not a 64-bit little-endian ELF file; only amd64 modules are read")
    header = _HEADER.unpack_from(data)
    kind, machine, table = header[1], header[2], header[6]
    entry_bytes, count, names_index = header[11:14]
    if (kind, machine) != (_ET_REL, _EM_X86_64):
        raise ModuleFileError(
            f"ELF type {kind} for machine {machine}; an amd64 module has type 1, machine 62"
        )
    if entry_bytes != _SECTION.size or names_index >= count or table + count * _SECTION.size > len(data):
        raise ModuleFileError("its section header table is cut off or damaged")
    headers = [_SECTION.unpack_from(data, table + index * _SECTION.size) for index in range(count)]
    names = _get_content(data, headers[names_index])
    sections: dict[str, bytes] = {}
    for section in headers:
        name = names[section[0] :].split(b"\0", 1)[0].decode("ascii", "replace")
        if section[1] != _SHT_NOBITS:
            sections.setdefault(name, _get_content(data, section))
    return sections


def _get_content(data: bytes, section: tuple[int, ...]) -> bytes:
    offset, length = section[4], section[5]
    if offset + length > len(data):
        raise ModuleFileError("a section lies beyond the end of the file; the file is cut off")
    return data[offset : offset + length]
