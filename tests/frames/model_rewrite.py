# SPDX-License-Identifier: Apache-2.0
"""What an output makes of a frame, slow and obvious: headers taken apart, changed, checksums moved along.

A checksum is not computed anew: it changes by what the words under it change (RFC 1624), so that a wrong one stays
exactly as wrong as it was.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from appliance.fastpath import Rewrite

TAGS = (0x8100, 0x88A8, 0x9100)
EXTENSIONS = (0, 43, 60)


def rewrite_frame(frame: bytes, rewrite: Rewrite | None) -> bytes:
    """The copy an output sends."""
    if rewrite is None:
        return frame
    macs = (rewrite.destination_mac or frame[:6]) + (rewrite.source_mac or frame[6:12])
    rest = rewrite_tags(frame[12:], rewrite)
    if all(value is None or value is False for value in list_upper(rewrite)):
        return macs + rest
    start = 0
    while word(rest, start) in TAGS:
        start += 4
    packet = rest[start + 2 :]
    renew = rewrite_ipv4 if word(rest, start) == 0x0800 else rewrite_ipv6
    return macs + rest[: start + 2] + renew(packet, rewrite)


def list_upper(rewrite: Rewrite) -> list[object]:
    """What changes above Ethernet."""
    return [
        rewrite.source, rewrite.destination, rewrite.udp_source, rewrite.udp_port, rewrite.dscp,
        rewrite.decrement_ttl, rewrite.payload_type, rewrite.ssrc,
    ]  # fmt: skip


def rewrite_tags(rest: bytes, rewrite: Rewrite) -> bytes:
    """From the first type field on: IEEE 802.1Q-2018, 9.6."""
    if rewrite.push_vlan is not None:
        return struct.pack("!HH", 0x8100, rewrite.push_vlan) + rest
    if rewrite.pop_vlan:
        return rest[4:]
    if rewrite.set_vlan is not None:
        return rest[:2] + struct.pack("!H", word(rest, 2) & 0xF000 | rewrite.set_vlan) + rest[4:]
    return rest


def rewrite_ipv4(packet: bytes, rewrite: Rewrite) -> bytes:
    """RFC 791, 3.1."""
    header_bytes = (packet[0] & 15) * 4
    old = packet[:header_bytes]
    new = bytearray(old)
    if rewrite.dscp is not None:
        new[1] = rewrite.dscp << 2 | new[1] & 3
    if rewrite.decrement_ttl:
        new[8] -= 1
    if rewrite.source is not None:
        new[12:16] = rewrite.source.packed
    if rewrite.destination is not None:
        new[16:20] = rewrite.destination.packed
    new[10:12] = follow(old[10:12], old[:10] + old[12:], bytes(new[:10] + new[12:]))
    return bytes(new) + rewrite_udp(packet[header_bytes:], rewrite, old[12:20], bytes(new[12:20]))


def rewrite_ipv6(packet: bytes, rewrite: Rewrite) -> bytes:
    """RFC 8200, 3: no header checksum."""
    new = bytearray(packet[:40])
    if rewrite.dscp is not None:
        new[:2] = struct.pack("!H", word(packet, 0) & 0xF03F | rewrite.dscp << 6)
    if rewrite.decrement_ttl:
        new[7] -= 1
    if rewrite.source is not None:
        new[8:24] = pack_ipv6(rewrite.source)
    if rewrite.destination is not None:
        new[24:40] = pack_ipv6(rewrite.destination)
    start, following = 40, packet[6]
    while following in EXTENSIONS and len(packet) >= start + 8:
        following, start = packet[start], start + (packet[start + 1] + 1) * 8
    return (
        bytes(new) + packet[40:start] + rewrite_udp(packet[start:], rewrite, packet[8:40], bytes(new[8:40]))
    )


def pack_ipv6(address: IPv4Address | IPv6Address) -> bytes:
    """A match on IPv4 addresses also takes IPv6 frames with IPv4-mapped ones (struct fp_key): they stay such."""
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def rewrite_udp(datagram: bytes, rewrite: Rewrite, old_addresses: bytes, new_addresses: bytes) -> bytes:
    """RFC 768; the addresses are its pseudo header."""
    wanted = (rewrite.source, rewrite.destination, rewrite.udp_source, rewrite.udp_port)
    if all(value is None for value in (*wanted, rewrite.payload_type, rewrite.ssrc)):
        return datagram
    new = bytearray(datagram)
    if rewrite.udp_source is not None:
        new[:2] = rewrite.udp_source.to_bytes(2, "big")
    if rewrite.udp_port is not None:
        new[2:4] = rewrite.udp_port.to_bytes(2, "big")
    if word(datagram, 4) >= 20 and datagram[8] >> 6 == 2:  # RTP
        if rewrite.payload_type is not None:
            new[9] = new[9] & 0x80 | rewrite.payload_type
        if rewrite.ssrc is not None:
            new[16:20] = rewrite.ssrc.to_bytes(4, "big")
    if word(datagram, 6) != 0:
        checksum = follow(
            datagram[6:8],
            old_addresses + datagram[:6] + datagram[8:20],
            new_addresses + bytes(new[:6] + new[8:20]),
        )
        new[6:8] = b"\xff\xff" if checksum == b"\0\0" else checksum
    return bytes(new)


def word(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 2], "big")


def follow(checksum: bytes, old: bytes, new: bytes) -> bytes:
    """HC' = ~(~HC + ~m + m') for every 16-bit word (RFC 1624, eqn. 3)."""
    old, new = old + bytes(len(old) % 2), new + bytes(len(new) % 2)
    total = 0xFFFF ^ word(checksum, 0)
    for at in range(0, len(old), 2):
        if word(old, at) != word(new, at):
            total += (0xFFFF ^ word(old, at)) + word(new, at)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (0xFFFF ^ total).to_bytes(2, "big")
