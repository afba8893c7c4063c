# SPDX-License-Identifier: Apache-2.0
"""Random frames and routes. Few addresses, ports and VLANs, so that frames and routes meet often."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import strategies as st

from appliance.fastpath import FrameKey, Match, Output, Rewrite, Route, names

from .frame_builder import (
    ETHERTYPE,
    FRAGMENT_HEADER,
    SOURCE,
    UDP,
    build_ethernet,
    build_extension,
    build_ipv4,
    build_ipv6,
    build_media_frame,
    build_udp,
)

GROUPS_V4 = [IPv4Address("239.1.2.1"), IPv4Address("239.1.2.2"), IPv4Address("192.0.2.9")]
GROUPS_V6 = [IPv6Address("ff3e::1"), IPv6Address("2001:db8::9")]
UDP_PORTS = [5004, 6000, 65535]
VLANS = [0, 100, 4094]
TAG_PROTOCOLS = [0x8100, 0x88A8, 0x9100]
EXTENSION_NUMBERS = [0, 43, 60]
# The largest frame of a 2048-byte buffer and a little more, for ports with larger buffers.
LONGEST_PAYLOAD_BYTES = 2048

vlan_tags = st.lists(
    st.tuples(
        st.sampled_from(TAG_PROTOCOLS),
        st.builds(lambda vlan, bits: bits << 12 | vlan, st.sampled_from([*VLANS, 4095]), st.integers(0, 15)),
    ),
    max_size=3,
)
RTP = bytes.fromhex("80e0000100000002cafe0001")  # version 2, marker, payload type 96
payloads = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda rest: RTP + rest, st.binary(max_size=16)),
    st.builds(lambda octet, length: octet * length, st.binary(min_size=1, max_size=1), st.integers(0, 1500)),
    st.builds(lambda length: bytes(length), st.integers(1900, LONGEST_PAYLOAD_BYTES)),
)
trailers = st.one_of(st.just(b""), st.binary(max_size=18))


@st.composite
def udp_datagrams(draw: st.DrawFn) -> bytes:
    """UDP, mostly right, sometimes with a length of its own."""
    payload = draw(payloads)
    length = draw(st.one_of(st.none(), st.none(), st.none(), st.integers(0, len(payload) + 12)))
    return build_udp(draw(st.sampled_from(UDP_PORTS)), payload, length)


@st.composite
def ipv4_datagrams(draw: st.DrawFn) -> bytes:
    """IPv4, mostly right; sometimes a fragment, another protocol, or a length that lies."""
    datagram = draw(udp_datagrams())
    options = bytes(4 * draw(st.sampled_from([0, 0, 0, 1, 10])))
    odd = draw(st.sampled_from(["", "", "", "", "fragment", "protocol", "total", "ihl"]))
    right = 20 + len(options) + len(datagram)
    return build_ipv4(
        draw(st.sampled_from(GROUPS_V4)),
        datagram,
        options=options,
        protocol=draw(st.integers(0, 255)) if odd == "protocol" else UDP,
        fragment=draw(st.integers(0, 0xFFFF)) if odd == "fragment" else draw(st.sampled_from([0, 0x4000])),
        total_length=draw(st.integers(0, right + 4)) if odd == "total" else None,
        version_ihl=draw(st.integers(0, 255)) if odd == "ihl" else None,
    )


@st.composite
def ipv6_datagrams(draw: st.DrawFn) -> bytes:
    """IPv6 with 0 to 9 extension headers, mostly right."""
    payload = draw(udp_datagrams())
    odd = draw(st.sampled_from(["", "", "", "", "fragment", "protocol", "length", "version"]))
    following = UDP
    if odd == "protocol":
        following = draw(st.integers(0, 255))
    elif odd == "fragment":
        payload, following = build_extension(UDP) + payload, FRAGMENT_HEADER
    for extension in draw(st.lists(st.sampled_from(EXTENSION_NUMBERS), max_size=9)):
        payload, following = build_extension(following, draw(st.integers(0, 2))) + payload, extension
    return build_ipv6(
        draw(st.sampled_from([*GROUPS_V6, IPv6Address("::ffff:239.1.2.1")])),
        payload,
        next_header=following,
        payload_length=draw(st.integers(0, len(payload) + 4)) if odd == "length" else None,
        version=draw(st.integers(0, 15)) if odd == "version" else 6,
    )


@st.composite
def built_frames(draw: st.DrawFn) -> bytes:
    """A frame as a sender would build it, right or wrong in one place."""
    version = draw(st.sampled_from([4, 4, 6]))
    datagram = draw(ipv4_datagrams() if version == 4 else ipv6_datagrams())
    ethertype = draw(st.sampled_from([ETHERTYPE[version]] * 8 + [0x0806, 0x0800, 0x88F7, 1500]))
    return build_ethernet(datagram + draw(trailers), ethertype, draw(vlan_tags))


@st.composite
def damaged_frames(draw: st.DrawFn) -> bytes:
    """A built frame cut short, or with a few octets changed."""
    frame = draw(built_frames())
    if draw(st.booleans()):
        return frame[: draw(st.integers(0, min(len(frame), 120)))]
    damaged = bytearray(frame)
    for _ in range(draw(st.integers(1, 4))):
        damaged[draw(st.integers(0, min(len(frame), 80) - 1))] = draw(st.integers(0, 255))
    return bytes(damaged)


frames = st.one_of(built_frames(), built_frames(), damaged_frames(), st.binary(max_size=100))


def arrivals(routes: Sequence[Route], port_count: int) -> st.SearchStrategy[tuple[int, bytes]]:
    """Frames and the ports they come in on; where there are routes, every other one matches one of them."""
    anything = st.tuples(st.integers(0, port_count - 1), frames)
    if not routes:
        return anything
    matching = st.builds(build_matching, st.sampled_from(routes), st.sampled_from(TAG_PROTOCOLS), payloads)
    return st.one_of(matching, anything)


def build_matching(route: Route, tag_protocol: int, payload: bytes) -> tuple[int, bytes]:
    """A frame the route most likely matches, and the port it has to come in on."""
    match = route.match
    tags = [
        (tag_protocol, vlan) for vlan in (match.vlan, match.inner_vlan) if vlan not in (None, names.NO_VLAN)
    ]
    destination = match.destination.network_address if match.destination is not None else GROUPS_V4[0]
    udp_port = UDP_PORTS[0] if match.udp_port is None else match.udp_port
    return match.port or 0, build_media_frame(destination, udp_port, payload, tags)


keys = st.builds(
    lambda address, udp_port, tags: FrameKey(0, address, udp_port, *tags),
    st.sampled_from(GROUPS_V4 + GROUPS_V6),
    st.sampled_from(UDP_PORTS),
    st.sampled_from([(None, None), (VLANS[0], None), (VLANS[1], VLANS[2]), (VLANS[1], None)]),
)


@st.composite
def matches(draw: st.DrawFn, port_count: int) -> Match:
    """Exact as most routes are, or with any of the fields left out, widened or added."""
    exact = Match.exact(replace(draw(keys), port=draw(st.integers(0, port_count - 1))))
    if draw(st.booleans()):
        return exact
    destination = exact.destination
    assert destination is not None
    source = ip_network(SOURCE[destination.version])
    shorter = st.sampled_from(
        [destination.supernet(new_prefix=bits) for bits in (24, 8, destination.prefixlen)]
    )
    return Match(
        port=draw(st.sampled_from([None, exact.port])),
        vlan=draw(st.sampled_from([None, exact.vlan])),
        inner_vlan=draw(st.sampled_from([None, names.NO_VLAN])),
        destination=draw(st.one_of(st.none(), shorter)),
        source=draw(st.sampled_from([None, None, source, source.supernet(new_prefix=20)])),
        udp_port=draw(st.sampled_from([None, exact.udp_port])),
        udp_source=draw(st.sampled_from([None, None, None, 5000])),
        dscp=draw(st.sampled_from([None, None, None, 0, 46])),
        payload_type=draw(st.sampled_from([None, None, None, 96, names.NOT_RTP])),
        ssrc=draw(st.sampled_from([None, None, None, 0xCAFE0001])),
        priority=draw(st.sampled_from([0, 0, 1, 7])),
    )


def optional(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """One of the values, or None."""
    return st.one_of(st.none(), values)


def rewrites(match: Match) -> st.SearchStrategy[Rewrite | None]:
    """What may be rewritten where this match lets frames in (struct fp_rewrite)."""
    tagged = match.vlan not in (None, names.NO_VLAN)
    vlans = st.sampled_from(["push", "set", "pop", ""] if tagged else ["push", "", ""])
    networks = [network for network in (match.destination, match.source) if network is not None]
    addresses: st.SearchStrategy[IPv4Address | IPv6Address] | None = None
    if networks:
        addresses = st.sampled_from(GROUPS_V4 if networks[0].version == 4 else GROUPS_V6)

    def build(vlan: str, **fields: object) -> Rewrite:
        tag = {"push": {"push_vlan": 7}, "set": {"set_vlan": 4094}, "pop": {"pop_vlan": True}}.get(vlan, {})
        return Rewrite(**tag, **fields)  # type: ignore[arg-type]

    built = st.builds(
        build,
        vlan=vlans,
        destination_mac=optional(st.just(bytes.fromhex("01005e7f0001"))),
        source_mac=optional(st.just(bytes.fromhex("02000000beef"))),
        source=st.none() if addresses is None else optional(addresses),
        destination=st.none() if addresses is None else optional(addresses),
        udp_source=optional(st.sampled_from([0, 7000, 65535])),
        udp_port=optional(st.sampled_from(UDP_PORTS)),
        dscp=optional(st.sampled_from([0, 46, 63])),
        decrement_ttl=st.booleans(),
        payload_type=optional(st.sampled_from([0, 112, 127])),
        ssrc=optional(st.sampled_from([0, 0xFFFFFFFF, 0x12345678])),
    )
    return st.one_of(st.none(), built)


@st.composite
def route_tables(draw: st.DrawFn, port_count: int) -> list[Route]:
    """Routes with different matches; outputs are none to all ports, the ingress port among them."""
    wanted = draw(
        st.lists(matches(port_count), max_size=25, unique_by=lambda match: replace(match, priority=0))
    )
    routes = []
    for number, match in enumerate(wanted):
        ports = draw(st.lists(st.integers(0, port_count - 1), max_size=min(8, port_count), unique=True))
        outputs = tuple(Output(port, draw(rewrites(match))) for port in ports)
        routes.append(Route(match, outputs, number, to_host=draw(st.sampled_from([False, False, True]))))
    return routes
