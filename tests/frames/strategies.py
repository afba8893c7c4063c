# SPDX-License-Identifier: Apache-2.0
"""Random frames and routes. Few addresses, ports and VLANs, so that frames and routes meet often."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from appliance.fastpath import FrameKey, Route

from .frame_builder import (
    ETHERTYPE,
    FRAGMENT_HEADER,
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
payloads = st.one_of(
    st.binary(max_size=64),
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
    """A frame the route matches, and the port it has to come in on."""
    tags = [(tag_protocol, vlan) for vlan in (route.key.vlan, route.key.inner_vlan) if vlan is not None]
    return route.key.port, build_media_frame(route.key.destination, route.key.udp_port, payload, tags)


@st.composite
def route_tables(draw: st.DrawFn, port_count: int) -> list[Route]:
    """Routes with different keys; outputs are any ports, the ingress port among them."""
    keys = draw(
        st.lists(
            st.builds(
                FrameKey,
                st.integers(0, port_count - 1),
                st.sampled_from(GROUPS_V4 + GROUPS_V6),
                st.sampled_from(UDP_PORTS),
                st.sampled_from([None, *VLANS]),
            ),
            max_size=40,
            unique=True,
        )
    )
    outputs = st.lists(st.integers(0, port_count - 1), min_size=1, max_size=min(8, port_count), unique=True)
    routes = []
    for key in keys:
        if key.vlan is not None and draw(st.booleans()):
            inner = draw(st.sampled_from(VLANS))
            key = FrameKey(key.port, key.destination, key.udp_port, key.vlan, inner)
        routes.append(key)
    return [
        Route(key, tuple(draw(outputs)), counter=number) for number, key in enumerate(dict.fromkeys(routes))
    ]
