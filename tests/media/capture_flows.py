# SPDX-License-Identifier: Apache-2.0
"""The UDP flows of a classic pcap file, read independently of native/tools."""

import ipaddress
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
_TAG_TYPES = (0x8100, 0x88A8)
_IPV4, _UDP = 0x0800, 17


@dataclass(frozen=True, order=True)
class CapturedFlow:
    """Destination group and UDP port, and how many frames go there."""

    group: str
    udp_port: int
    frames: int


def iterate_frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """(time in ns since 1970, frame) of every record; ValueError where the file is not classic pcap."""
    data = path.read_bytes()
    for order in ("<", ">"):
        (magic,) = struct.unpack_from(f"{order}I", data)
        if magic in _MAGIC:
            break
    else:
        raise ValueError(f"{path}: not a classic pcap file")
    at = 24
    while at < len(data):
        seconds, fraction, captured, _original = struct.unpack_from(f"{order}4I", data, at)
        at += 16
        yield seconds * 1_000_000_000 + fraction * _MAGIC[magic], data[at : at + captured]
        at += captured


def write_frames(path: Path, frames: list[bytes], step_ns: int = 1_000_000) -> None:
    """Write a nanosecond pcap file with one frame every `step_ns`."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            seconds, fraction = divmod(number * step_ns, 1_000_000_000)
            file.write(struct.pack("<4I", seconds, fraction, len(frame), len(frame)) + frame)


def load_flows(path: Path) -> list[CapturedFlow]:
    """Flows of UDP over IPv4 in a capture, sorted by group."""
    counts: Counter[tuple[str, int]] = Counter()
    for _time_ns, frame in iterate_frames(path):
        at = 12
        while int.from_bytes(frame[at : at + 2], "big") in _TAG_TYPES:
            at += 4
        if int.from_bytes(frame[at : at + 2], "big") != _IPV4 or frame[at + 11] != _UDP:
            continue
        udp = at + 2 + (frame[at + 2] & 15) * 4
        group = str(ipaddress.IPv4Address(frame[at + 18 : at + 22]))
        counts[group, int.from_bytes(frame[udp + 2 : udp + 4], "big")] += 1
    return sorted(CapturedFlow(group, port, frames) for (group, port), frames in counts.items())
