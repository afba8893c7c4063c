# SPDX-License-Identifier: Apache-2.0
"""What the fast path shall do, slow and obvious: parse, match, rewrite, route, account.

Written from the standards and from the contract in native/include/fastpath.h, not from the C code. It knows a
frame as bytes, a ring as a list, and counts in dictionaries.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from appliance.fastpath import FrameKey, Match, Rewrite, Route, names

from .model_rewrite import rewrite_frame

ETHERNET_BYTES = 14
TAGS = (0x8100, 0x88A8, 0x9100)  # IEEE 802.1Q, table 9-1, and the one in no standard
EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: RFC 8200, 4.3, 4.4, 4.6
# RFC 8200, 4.1 has each at most once, destination options twice; a longer chain is nobody's media and not followed.
LONGEST_CHAIN = 7
TURN_FRAMES = 512
ETHERNET, IP, UDP = range(3)  # how far a frame is understood
UDP_FIELDS = ("udp_port", "udp_source", "payload_type", "ssrc")


class RefusedError(Exception):
    """The frame is dropped; the argument is the label of the reason."""


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


@dataclass(frozen=True)
class Understood:
    """A frame taken apart as far as it goes; `refusal` is why not further."""

    level: int
    fields: dict[str, object]
    refusal: str | None = None


def parse(frame: bytes, port: int) -> FrameKey:
    """The key of a whole UDP frame, or RefusedError."""
    understood = understand(frame, port)
    if understood.refusal is not None:
        raise RefusedError(understood.refusal)
    return FrameKey(**understood.fields)  # type: ignore[arg-type]


def understand(frame: bytes, port: int) -> Understood:
    """Everything a frame says."""
    fields: dict[str, object] = {"port": port, "vlan": None, "inner_vlan": None}
    if len(frame) < ETHERNET_BYTES:
        return Understood(ETHERNET, fields, "short")
    ethertype, rest = number(frame[12:14]), frame[14:]
    for tag in ("vlan", "inner_vlan"):
        if ethertype in TAGS:
            if len(rest) < 4:
                return Understood(ETHERNET, fields, "truncated")
            fields[tag] = number(rest[:2]) & 0xFFF
            ethertype, rest = number(rest[2:4]), rest[4:]
    try:
        if ethertype == 0x0800:
            addresses, datagram = parse_ipv4(rest)
        elif ethertype == 0x86DD:
            addresses, datagram = parse_ipv6(rest)
        else:
            raise RefusedError("not_ip")
    except RefusedError as refusal:
        return Understood(ETHERNET, fields, str(refusal))
    fields |= addresses
    if isinstance(datagram, str):
        return Understood(IP, fields, datagram)
    # RFC 768: the length counts the header; IP has to carry all of it, and may carry more.
    if len(datagram) < 8 or not 8 <= number(datagram[4:6]) <= len(datagram):
        return Understood(IP, fields, "bad_length")
    fields |= {"udp_source": number(datagram[:2]), "udp_port": number(datagram[2:4])}
    payload = datagram[8 : number(datagram[4:6])]
    is_rtp = len(payload) >= 12 and payload[0] >> 6 == 2  # RFC 3550, 5.1
    fields |= {
        "payload_type": payload[1] & 0x7F if is_rtp else None,
        "ssrc": number(payload[8:12]) if is_rtp else 0,
    }
    return Understood(UDP, fields)


def parse_ipv4(rest: bytes) -> tuple[dict[str, object], bytes | str]:
    """Addresses, and the payload of an IPv4 datagram (RFC 791, 3.1) or why it is no UDP; padding is left out."""
    if len(rest) < 20:
        raise RefusedError("truncated")
    if rest[0] >> 4 != 4:
        raise RefusedError("not_ip")
    header_bytes, total_bytes = (rest[0] & 15) * 4, number(rest[2:4])
    if header_bytes < 20 or total_bytes < header_bytes:
        raise RefusedError("bad_length")
    if total_bytes > len(rest):
        raise RefusedError("truncated")
    addresses: dict[str, object] = {
        "source": IPv4Address(rest[12:16]), "destination": IPv4Address(rest[16:20]), "dscp": rest[1] >> 2
    }  # fmt: skip
    more_fragments, offset = number(rest[6:8]) & 0x2000, number(rest[6:8]) & 0x1FFF
    if more_fragments or offset:
        return addresses, "fragment"
    if rest[9] != 17:
        return addresses, "not_udp"
    return addresses, rest[header_bytes:total_bytes]


def parse_ipv6(rest: bytes) -> tuple[dict[str, object], bytes | str]:
    """Addresses, and the upper-layer payload of an IPv6 datagram (RFC 8200, 3 and 4) or why it is no UDP."""
    if len(rest) < 40:
        raise RefusedError("truncated")
    if rest[0] >> 4 != 6:
        raise RefusedError("not_ip")
    payload_bytes, following = number(rest[4:6]), rest[6]
    source, destination = IPv6Address(rest[8:24]), IPv6Address(rest[24:40])
    if payload_bytes > len(rest) - 40:
        raise RefusedError("truncated")
    # An IPv4-mapped address is the same key as that IPv4 address (struct fp_key).
    addresses: dict[str, object] = {
        "source": source.ipv4_mapped or source,
        "destination": destination.ipv4_mapped or destination,
        "dscp": number(rest[:2]) >> 6 & 0x3F,
    }
    payload = rest[40 : 40 + payload_bytes]
    extensions = 0
    while following in EXTENSIONS:
        extensions += 1
        if len(payload) < 8 or len(payload) < (payload[1] + 1) * 8:
            return addresses, "bad_length"
        following, payload = payload[0], payload[(payload[1] + 1) * 8 :]
        if extensions > LONGEST_CHAIN:
            return addresses, "not_udp"
    if following == 44:
        return addresses, "fragment"
    return addresses, payload if following == 17 else "not_udp"


def fits(match: Match, understood: Understood) -> bool:
    """Whether every field the match gives is the frame's, absent tags and RTP included."""
    absent = {"vlan": names.NO_VLAN, "inner_vlan": names.NO_VLAN, "payload_type": names.NOT_RTP}
    for name in ("port", "vlan", "inner_vlan", "dscp", *UDP_FIELDS):
        wanted = getattr(match, name)
        if wanted is None:
            continue
        if name not in understood.fields:
            return False
        seen = understood.fields[name]
        if wanted != (absent.get(name) if seen is None else seen):
            return False
    for name in ("destination", "source"):
        network = getattr(match, name)
        seen = understood.fields.get(name)
        if network is not None and (seen is None or seen not in network):
            return False
    return True


def count_bits(match: Match) -> tuple[int, tuple[int, ...]]:
    """How specific a match is: bits compared; between equals, the mask byte by byte as a key has them."""
    widths = {"udp_port": 16, "udp_source": 16, "dscp": 8, "payload_type": 8, "ssrc": 32}
    widths |= {"port": 16, "vlan": 16, "inner_vlan": 16}
    octets: list[int] = []
    for name in ("destination", "port", "vlan", "inner_vlan", "udp_port", "source", "udp_source", "dscp",
                 "payload_type", "ssrc"):  # fmt: skip
        value = getattr(match, name)
        if name in widths:
            octets += [0 if value is None else 255] * (widths[name] // 8)
        else:
            bits = 0 if value is None else value.prefixlen + (96 if value.version == 4 else 0)
            octets += (((1 << bits) - 1) << (128 - bits)).to_bytes(16, "big")
    return sum(octet.bit_count() for octet in octets), tuple(octets)


def level_of(rewrite: Rewrite) -> int:
    """How far a frame must be understood for this rewrite."""
    addresses = (rewrite.source, rewrite.destination, rewrite.udp_source, rewrite.udp_port)
    if any(value is not None for value in (*addresses, rewrite.payload_type, rewrite.ssrc)):
        return UDP
    return IP if rewrite.dscp is not None or rewrite.decrement_ttl else ETHERNET


def choose_route(routes: list[Route], understood: Understood) -> Route | None:
    """The highest priority, then the most specific match, of those the frame has everything for."""
    if understood.refusal == "short":
        return None
    fitting = [
        route
        for route in routes
        if fits(route.match, understood)
        and all(level_of(output.rewrite or Rewrite()) <= understood.level for output in route.outputs)
    ]
    return max(fitting, key=lambda route: (route.match.priority, *count_bits(route.match)), default=None)


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
    routes: list[Route] = field(default_factory=list)
    route_counters: dict[int, Counter[str]] = field(default_factory=dict)

    def turn(self) -> int:
        """A turn of every port, in the order of the ports."""
        frames = 0
        for index, port in enumerate(self.ports):
            for _ in range(min(TURN_FRAMES, len(port.received))):
                self.take(index, port.received.popleft())
                frames += 1
        return frames

    def choose(self, _index: int, understood: Understood) -> Route | None:
        """The route of a frame that came in on port `_index`; None where there is none."""
        return choose_route(self.routes, understood)

    def take(self, index: int, frame: bytes) -> None:
        """What becomes of one frame."""
        port = self.ports[index]
        port.counters["received_frames"] += 1
        port.counters["received_bytes"] += len(frame)
        understood = understand(frame, index)
        route = self.choose(index, understood)
        if route is None:
            port.dropped[understood.refusal or "no_route"] += 1
            return
        counter = self.route_counters.setdefault(route.counter, Counter())
        counter["frames"] += 1
        counter["bytes"] += len(frame)
        reason = self.send(route, frame)
        if reason is None:
            port.counters["to_host_frames" if route.to_host else "forwarded_frames"] += 1
        else:
            port.dropped[reason] += 1

    def send(self, route: Route, frame: bytes) -> str | None:
        """Copies to every output; why none of them took one, or None."""
        if not route.outputs:
            return "by_route"
        rewrites = [output.rewrite or Rewrite() for output in route.outputs]
        if any(rewrite.decrement_ttl for rewrite in rewrites) and read_ttl(frame) < 2:
            return "expired"
        fates = [
            self.ports[output.port].offer(rewrite_frame(frame, output.rewrite)) for output in route.outputs
        ]
        if "taken" in fates:
            return None
        return "too_long" if set(fates) == {"too_long"} else "tx_full"


def read_ttl(frame: bytes) -> int:
    """TTL or hop limit of an IP frame."""
    start = 12
    while number(frame[start : start + 2]) in TAGS:
        start += 4
    return frame[start + 2 + 8] if number(frame[start : start + 2]) == 0x0800 else frame[start + 2 + 7]
