# SPDX-License-Identifier: Apache-2.0
"""Frames made of bytes: Ethernet II, tags, IPv4 or IPv6, UDP; every length is right unless told otherwise."""

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

SOURCE_MAC = bytes.fromhex("020000000001")
UDP = 17
FRAGMENT_HEADER = 44
ETHERTYPE = {4: 0x0800, 6: 0x86DD}

Address = IPv4Address | IPv6Address
SOURCE: dict[int, Address] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}


def build_ethernet(payload: bytes, ethertype: int, tags: Sequence[tuple[int, int]] = ()) -> bytes:
    """An Ethernet II frame without FCS; `tags` are (protocol id, control information), outermost first."""
    tagged = b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in tags)
    return bytes.fromhex("01005e010201") + SOURCE_MAC + tagged + struct.pack("!H", ethertype) + payload


def build_udp(udp_port: int, payload: bytes, length: int | None = None) -> bytes:
    """A UDP datagram; `length` overrides the length field."""
    return struct.pack("!HHHH", 5000, udp_port, 8 + len(payload) if length is None else length, 0) + payload


def build_ipv4(
    destination: IPv4Address,
    payload: bytes,
    *,
    protocol: int = UDP,
    options: bytes = b"",
    fragment: int = 0,
    total_length: int | None = None,
    version_ihl: int | None = None,
) -> bytes:
    """An IPv4 datagram; `fragment` is the flags and offset word, the others override what would be right."""
    first = (4 << 4 | (20 + len(options)) // 4) if version_ihl is None else version_ihl
    total = 20 + len(options) + len(payload) if total_length is None else total_length
    head = struct.pack("!BBHHHBBH", first, 0, total, 0, fragment, 64, protocol, 0)
    return head + SOURCE[4].packed + destination.packed + options + payload


def build_ipv6(
    destination: IPv6Address,
    payload: bytes,
    *,
    next_header: int = UDP,
    payload_length: int | None = None,
    version: int = 6,
) -> bytes:
    """An IPv6 datagram; `payload_length` overrides what would be right."""
    length = len(payload) if payload_length is None else payload_length
    head = struct.pack("!IHBB", version << 28, length, next_header, 64)
    return head + SOURCE[6].packed + destination.packed + payload


def build_extension(next_header: int, units: int = 0) -> bytes:
    """An IPv6 extension header of 8 * (units + 1) bytes, PadN inside (RFC 8200, 4.2)."""
    room = 8 * (units + 1) - 2
    return bytes((next_header, units)) + bytes((1, room - 2)) + bytes(room - 2)


def build_media_frame(
    destination: Address, udp_port: int, payload: bytes, tags: Sequence[tuple[int, int]] = ()
) -> bytes:
    """A whole frame with nothing unusual in it."""
    datagram = build_udp(udp_port, payload)
    if isinstance(destination, IPv4Address):
        return build_ethernet(build_ipv4(destination, datagram), ETHERTYPE[4], tags)
    return build_ethernet(build_ipv6(destination, datagram), ETHERTYPE[6], tags)
