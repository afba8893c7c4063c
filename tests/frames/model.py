# SPDX-License-Identifier: Apache-2.0
"""What the fast path shall do, slow and obvious: parse, route, account.

Written from the standards and from the contract in native/include/fastpath.h, not from the C code. It knows a
frame as bytes, a ring as a list, and counts in dictionaries.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from appliance.fastpath import FrameKey, Route

ETHERNET_BYTES = 14
TAGS = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, table 9-1, and the one in no standard
EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: RFC 8200, 4.3, 4.4, 4.6
# RFC 8200, 4.1 has each at most once, destination options twice; a longer chain is nobody's media and not followed.
LONGEST_CHAIN = 7
BURST_FRAMES = 64


class RefusedError(Exception):
    """The frame is dropped; the argument is the label of the reason."""


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def parse(frame: bytes, port: int) -> FrameKey:
    """The key of a frame, or RefusedError."""
    if len(frame) < ETHERNET_BYTES:
        raise RefusedError("short")
    ethertype, rest = number(frame[12:14]), frame[14:]
    vlans: list[int] = []
    while ethertype in TAGS and len(vlans) < 2:
        if len(rest) < 4:
            raise RefusedError("truncated")
        vlans.append(number(rest[:2]) & 0xFFF)
        ethertype, rest = number(rest[2:4]), rest[4:]
    destination: IPv4Address | IPv6Address
    if ethertype == 0x0800:
        destination, datagram = parse_ipv4(rest)
    elif ethertype == 0x86DD:
        destination, datagram = parse_ipv6(rest)
    else:
        raise RefusedError("not_ip")
    # RFC 768: the length counts the header; IP has to carry all of it, and may carry more.
    if len(datagram) < 8 or not 8 <= number(datagram[4:6]) <= len(datagram):
        raise RefusedError("bad_length")
    vlan, inner_vlan = [*vlans, None, None][:2]
    return FrameKey(port, destination, number(datagram[2:4]), vlan, inner_vlan)


def parse_ipv4(rest: bytes) -> tuple[IPv4Address, bytes]:
    """Destination and payload of an IPv4 datagram (RFC 791, 3.1); what follows it pads the Ethernet frame."""
    if len(rest) < 20:
        raise RefusedError("truncated")
    if rest[0] >> 4 != 4:
        raise RefusedError("not_ip")
    header_bytes, total_bytes = (rest[0] & 15) * 4, number(rest[2:4])
    if header_bytes < 20 or total_bytes < header_bytes:
        raise RefusedError("bad_length")
    if total_bytes > len(rest):
        raise RefusedError("truncated")
    more_fragments, offset = number(rest[6:8]) & 0x2000, number(rest[6:8]) & 0x1FFF
    if more_fragments or offset:
        raise RefusedError("fragment")
    if rest[9] != 17:
        raise RefusedError("not_udp")
    return IPv4Address(rest[16:20]), rest[header_bytes:total_bytes]


def parse_ipv6(rest: bytes) -> tuple[IPv4Address | IPv6Address, bytes]:
    """Destination and upper-layer payload of an IPv6 datagram (RFC 8200, 3 and 4)."""
    if len(rest) < 40:
        raise RefusedError("truncated")
    if rest[0] >> 4 != 6:
        raise RefusedError("not_ip")
    payload_bytes, following, destination = number(rest[4:6]), rest[6], IPv6Address(rest[24:40])
    if payload_bytes > len(rest) - 40:
        raise RefusedError("truncated")
    payload = rest[40 : 40 + payload_bytes]
    extensions = 0
    while following in EXTENSIONS:
        extensions += 1
        if len(payload) < 8 or len(payload) < (payload[1] + 1) * 8:
            raise RefusedError("bad_length")
        following, payload = payload[0], payload[(payload[1] + 1) * 8 :]
        if extensions > LONGEST_CHAIN:
            raise RefusedError("not_udp")
    if following == 44:
        raise RefusedError("fragment")
    if following != 17:
        raise RefusedError("not_udp")
    # An IPv4-mapped destination is the same key as that IPv4 address (struct fp_key).
    return destination.ipv4_mapped or destination, payload


@dataclass
class ModelPort:
    """A memory port: what waits to be received, what was transmitted and not collected."""

    tx_free: int  # slots a TX ring offers while nothing is in it
    buffer_bytes: int
    region: int
    received: deque[bytes] = field(default_factory=deque)
    transmitted: list[bytes] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def offer(self, frame: bytes) -> str:
        """Take one copy: "taken", "too_long" or "tx_full"."""
        self.counters["offered_frames"] += 1
        if len(frame) > self.buffer_bytes:
            self.counters["tx_too_long_frames"] += 1
            return "too_long"
        if len(self.transmitted) >= self.tx_free:
            self.counters["tx_full_frames"] += 1
            return "tx_full"
        self.counters["transmitted_frames"] += 1
        self.counters["transmitted_bytes"] += len(frame)
        self.transmitted.append(frame)
        return "taken"


@dataclass
class ModelWorker:
    """A worker over model ports with the route table of one generation."""

    ports: list[ModelPort]
    routes: dict[FrameKey, Route] = field(default_factory=dict)
    route_counters: dict[int, Counter[str]] = field(default_factory=dict)

    def turn(self) -> int:
        """A burst of every port, in the order of the ports."""
        frames = 0
        for index, port in enumerate(self.ports):
            for _ in range(min(BURST_FRAMES, len(port.received))):
                self.take(index, port.received.popleft())
                frames += 1
        return frames

    def take(self, index: int, frame: bytes) -> None:
        """What becomes of one frame."""
        port = self.ports[index]
        port.counters["received_frames"] += 1
        port.counters["received_bytes"] += len(frame)
        try:
            route = self.routes.get(parse(frame, index))
        except RefusedError as reason:
            port.dropped[str(reason)] += 1
            return
        if route is None:
            port.dropped["no_route"] += 1
            return
        counter = self.route_counters.setdefault(route.counter, Counter())
        counter["frames"] += 1
        counter["bytes"] += len(frame)
        fates = [self.ports[output].offer(frame) for output in route.outputs]
        if "taken" in fates:
            port.counters["forwarded_frames"] += 1
        else:
            port.dropped["too_long" if set(fates) == {"too_long"} else "tx_full"] += 1
