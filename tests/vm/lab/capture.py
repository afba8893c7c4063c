# SPDX-License-Identifier: Apache-2.0
"""Read classic pcap files (draft-ietf-opsawg-pcap): micro- and nanosecond, both byte orders, Ethernet only.

The lab has its own reader because it compares byte for byte: it must know that a capture holds whole frames
and must not run them through a parser that could repair them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_LINKTYPE_ETHERNET = 1
_FILE_HEADER_BYTES = 24
_RECORD_HEADER_BYTES = 16
# Magic as it reads little-endian -> (byte order of the file, nanoseconds in one unit of the fraction).
_MAGIC = {
    0xA1B2C3D4: ("<", 1_000),
    0xA1B23C4D: ("<", 1),
    0xD4C3B2A1: (">", 1_000),
    0x4D3CB2A1: (">", 1),
}


@dataclass(frozen=True)
class Frame:
    """One frame: its capture time in nanoseconds, and its bytes without the frame check sequence."""

    time_ns: int
    data: bytes


def parse_capture(content: bytes, name: str) -> list[Frame]:
    """Frames of one pcap file's content, in file order. `name` is for messages.

    Raises LabError for another format, another link type, a cut file or a frame that was not captured whole.
    """
    if len(content) < _FILE_HEADER_BYTES:
        raise LabError(f"{name}: {len(content)} bytes, a pcap file has at least {_FILE_HEADER_BYTES}")
    magic = struct.unpack_from("<I", content)[0]
    if magic not in _MAGIC:
        raise LabError(
            f"{name}: starts with {content[:4].hex()}, not a pcap magic; convert it to classic pcap"
        )
    order, unit_ns = _MAGIC[magic]
    # The upper bits of this field tell of a frame check sequence; the link type is the lower 16.
    link_type = struct.unpack_from(order + "I", content, 20)[0] & 0xFFFF
    if link_type != _LINKTYPE_ETHERNET:
        raise LabError(f"{name}: link type {link_type}, wanted {_LINKTYPE_ETHERNET} (Ethernet)")
    return _parse_records(content, name, struct.Struct(order + "IIII"), unit_ns)


def _parse_records(content: bytes, name: str, header: struct.Struct, unit_ns: int) -> list[Frame]:
    frames: list[Frame] = []
    at = _FILE_HEADER_BYTES
    while at < len(content):
        number = len(frames) + 1
        if at + _RECORD_HEADER_BYTES > len(content):
            raise LabError(f"{name}: cut in the header of frame {number}")
        seconds, fraction, captured_bytes, original_bytes = header.unpack_from(content, at)
        at += _RECORD_HEADER_BYTES
        if captured_bytes != original_bytes:
            raise LabError(
                f"{name}: frame {number} has {captured_bytes} of {original_bytes} bytes; capture whole frames"
            )
        if at + captured_bytes > len(content):
            raise LabError(f"{name}: cut in frame {number}")
        frames.append(Frame(seconds * 1_000_000_000 + fraction * unit_ns, content[at : at + captured_bytes]))
        at += captured_bytes
    return frames


def load_capture(path: Path) -> list[Frame]:
    """Frames of the pcap file at `path`, as parse_capture gives them."""
    return parse_capture(path.read_bytes(), path.name)
