# SPDX-License-Identifier: Apache-2.0
"""What the lab sends: real captures where they are on this machine, generated RTP where they are not.

The captures belong to the EBU LIST project and are never part of this repository.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.capture import Frame, load_capture
from lab.errors import LabError

_ETHERNET_BYTES = 14
_UDP = 17


@dataclass(frozen=True, order=True)
class Flow:
    """A destination to route: IPv4 group and UDP port."""

    group: str
    udp_port: int


@dataclass(frozen=True)
class Media:
    """Frames to replay. `source` says where they come from, for the report."""

    name: str
    source: str
    frames: Sequence[Frame]

    @property
    def flows(self) -> list[Flow]:
        """Every destination among the frames, sorted."""
        return sorted({parse_flow(frame.data) for frame in self.frames})

    @property
    def duration_ns(self) -> int:
        """From the first frame's timestamp to the last one's."""
        return self.frames[-1].time_ns - self.frames[0].time_ns if self.frames else 0

    @property
    def rate_mbit_per_s(self) -> float:
        """Mean rate of the capture, Ethernet frames without preamble and gap."""
        bits = 8 * sum(len(frame.data) for frame in self.frames)
        return bits * 1_000 / self.duration_ns if self.duration_ns else 0.0


@dataclass(frozen=True)
class Wanted:
    """A capture of the lab and what to generate in its place: the same shape, none of its content."""

    file: str
    flows: tuple[Flow, ...]
    frames_per_flow: int
    payload_bytes: int
    interval_ns: int
    payload_type: int


WANTED = (
    # ST 2110-22 over one flow: 1,732 frames of about 1,258 bytes in 66 ms (250 Mbit/s).
    Wanted("250mbps-JPEGXS.pcap", (Flow("224.2.1.1", 20000),), 1732, 1204, 38_000, 112),
    # ST 2110-30 audio on the two paths of ST 2022-7: 16,000 frames of 72 bytes each in 2 s.
    Wanted("ST2022-7-Audio.pcap", (Flow("239.1.2.1", 6000), Flow("239.1.2.2", 6000)), 16000, 18, 125_000, 97),
)


def parse_flow(data: bytes) -> Flow:
    """Destination of an untagged IPv4 UDP frame; LabError for any other, which the lab could not route."""
    ethertype = int.from_bytes(data[12:14], "big")
    if ethertype != 0x0800 or len(data) < _ETHERNET_BYTES + 20 or data[23] != _UDP:
        raise LabError(
            f"a frame that is not untagged IPv4 UDP (ethertype {ethertype:#06x}); the lab routes no other"
        )
    udp_at = _ETHERNET_BYTES + (data[14] & 0x0F) * 4
    return Flow(str(IPv4Address(data[30:34])), int.from_bytes(data[udp_at + 2 : udp_at + 4], "big"))


def captures_folder(root: Path) -> Path:
    """$CAPTURES_DIR, else the `shared/captures` beside the checkout."""
    return Path(os.environ.get("CAPTURES_DIR") or root.parent / "shared" / "captures")


def load_media(folder: Path) -> list[Media]:
    """One Media for every entry of WANTED: from `folder` where the file is there, else generated."""
    return [_load_or_generate(folder, wanted) for wanted in WANTED]


def _load_or_generate(folder: Path, wanted: Wanted) -> Media:
    path = folder / wanted.file
    if path.is_file():
        return Media(wanted.file, "capture", load_capture(path))
    name = f"generated in place of {wanted.file}"
    return Media(name, f"generated: no {wanted.file} in the captures folder", generate_frames(wanted))


def generate_frames(wanted: Wanted) -> list[Frame]:
    """RTP in the shape of `wanted`: the flows take turns, sequence numbers and timestamps count up."""
    frames = []
    for index in range(wanted.frames_per_flow):
        for flow in wanted.flows:
            frames.append(Frame(index * wanted.interval_ns, _render_frame(wanted, flow, index)))
    return frames


def _render_frame(wanted: Wanted, flow: Flow, index: int) -> bytes:
    # RFC 3550, 5.1: version 2, no marker; 48 kHz or 90 kHz clocks do not matter to a forwarder.
    rtp = struct.pack(">BBHII", 0x80, wanted.payload_type, index & 0xFFFF, index * 6, 0x53425950)
    payload = rtp + bytes((index + offset) & 0xFF for offset in range(wanted.payload_bytes))
    udp = struct.pack(">HHHH", 10000, flow.udp_port, 8 + len(payload), 0) + payload
    group = IPv4Address(flow.group).packed
    source = IPv4Address("192.0.2.10").packed  # RFC 5737, documentation
    header = (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), index & 0xFFFF, 0x4000, 16, _UDP, 0) + source + group
    )
    header = header[:10] + _checksum(header).to_bytes(2, "big") + header[12:]
    # RFC 1112, 6.4: the low 23 bits of the group behind 01:00:5e.
    destination = bytes((0x01, 0x00, 0x5E, group[1] & 0x7F, group[2], group[3]))
    return destination + bytes.fromhex("52540053594e") + b"\x08\x00" + header + udp


def _checksum(header: bytes) -> int:
    """RFC 1071 over an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
