# SPDX-License-Identifier: Apache-2.0
"""The generated video flow of native/tools, written a second time from the standards, for comparison.

ST 2110-20 (RTP over UDP, RFC 4175 payload header), 4:2:2 10 bit progressive, 480 pixels a frame.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

PIXELS_PER_FRAME = 480
PAYLOAD_BYTES = PIXELS_PER_FRAME // 2 * 5  # a pgroup is 2 pixels in 5 bytes
_WORD = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class VideoModel:
    """One flow; `pictures_per_s` exact, e.g. Fraction(60000, 1001)."""

    width: int
    height: int
    pictures_per_s: Fraction
    group: str = "239.20.1.1"
    source: str = "192.0.2.10"
    udp_port: int = 20000

    @property
    def frames_per_picture(self) -> int:
        """Every line is `width / 480` frames."""
        return self.width * self.height // PIXELS_PER_FRAME

    def frame(self, index: int) -> bytes:
        """Frame number `index`, headers and checksums by scapy."""
        octets = [int(part) for part in self.group.split(".")]
        mac = "01:00:5e:" + ":".join(f"{octet:02x}" for octet in (octets[1] % 128, octets[2], octets[3]))
        return bytes(
            Ether(dst=mac, src="02:53:42:00:00:01")
            / IP(src=self.source, dst=self.group, tos=34 << 2, flags="DF", id=0, ttl=64)
            / UDP(sport=self.udp_port, dport=self.udp_port, chksum=0)
            / Raw(self._rtp(index) + _payload(index))
        )

    def _rtp(self, index: int) -> bytes:
        picture, place = divmod(index, self.frames_per_picture)
        line, column = divmod(place * PIXELS_PER_FRAME, self.width)
        marker = 0x80 if place == self.frames_per_picture - 1 else 0
        timestamp = int(picture * 90000 / self.pictures_per_s) % 2**32
        extended, sequence = divmod(index % 2**32, 2**16)
        header = struct.pack(">BBHII", 0x80, marker | 96, sequence, timestamp, 0x53425950)
        return header + struct.pack(">HHHH", extended, PAYLOAD_BYTES, line, column)


def _payload(index: int) -> bytes:
    seed = _splitmix64(index)
    return b"".join(
        ((seed + word * _GOLDEN) % _WORD).to_bytes(8, "little") for word in range(PAYLOAD_BYTES // 8)
    )


def _splitmix64(value: int) -> int:
    value = (value + _GOLDEN) % _WORD
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % _WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB % _WORD
    return value ^ value >> 31
