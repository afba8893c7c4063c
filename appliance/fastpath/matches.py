# SPDX-License-Identifier: Apache-2.0
"""What a route compares: `struct fp_match` as a value."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError
from appliance.fastpath.frames import FrameKey, pack_address, read_address

Network = IPv4Network | IPv6Network

_MAPPED_BITS = 96  # of ::ffff:0:0/96, where IPv4 prefixes live in a key
# Field → its FP_MATCH_* bit and the largest value.
_FIELDS = {
    "port": (lib.FP_MATCH_PORT, names.MAX_PORTS - 1),
    "vlan": (lib.FP_MATCH_VLAN, names.NO_VLAN),
    "inner_vlan": (lib.FP_MATCH_INNER_VLAN, names.NO_VLAN),
    "udp_port": (lib.FP_MATCH_UDP_PORT, 0xFFFF),
    "udp_source": (lib.FP_MATCH_UDP_SOURCE, 0xFFFF),
    "dscp": (lib.FP_MATCH_DSCP, 63),
    "payload_type": (lib.FP_MATCH_PAYLOAD_TYPE, names.NOT_RTP),
    "ssrc": (lib.FP_MATCH_SSRC, 0xFFFF_FFFF),
}


@dataclass(frozen=True, slots=True)
class Match:
    """Every field given has to be equal; None is not compared.

    `vlan` and `inner_vlan` may be names.NO_VLAN (no such tag), `payload_type` names.NOT_RTP. Of several matches
    that fit a frame the highest `priority` wins, then the one that compares more bits.
    """

    port: int | None = None
    vlan: int | None = None
    inner_vlan: int | None = None
    destination: Network | None = None
    source: Network | None = None
    udp_port: int | None = None
    udp_source: int | None = None
    dscp: int | None = None
    payload_type: int | None = None
    ssrc: int | None = None
    priority: int = 0

    @classmethod
    def exact(cls, key: FrameKey, priority: int = 0) -> "Match":
        """Ingress port, both VLANs (None: untagged), destination and UDP port: how most routes match."""
        return cls(
            port=key.port,
            vlan=names.NO_VLAN if key.vlan is None else key.vlan,
            inner_vlan=names.NO_VLAN if key.inner_vlan is None else key.inner_vlan,
            destination=ip_network(key.destination),
            udp_port=key.udp_port,
            priority=priority,
        )


def write_match(match: Match, target: Any) -> None:
    """Fill a zeroed `struct fp_match`. NativeError where a field is outside its range."""
    if not 0 <= match.priority <= 0xFFFF_FFFF:
        raise NativeError(names.E_INVALID, f"match: priority {match.priority} is not in 0..4294967295")
    target.priority = match.priority
    for field, (bit, largest) in _FIELDS.items():
        value = getattr(match, field)
        if value is None:
            continue
        if not 0 <= value <= largest:
            raise NativeError(names.E_INVALID, f"match: {field} {value} is not in 0..{largest}")
        setattr(target.key, field, value)
        target.fields |= bit
    if match.destination is not None:
        ffi.memmove(target.key.destination, pack_address(match.destination.network_address), 16)
        target.destination_bits = _count_bits(match.destination)
    if match.source is not None:
        ffi.memmove(target.key.source, pack_address(match.source.network_address), 16)
        target.source_bits = _count_bits(match.source)


def read_match(source: Any) -> Match:
    """A `struct fp_match` as a value."""
    values = {field: getattr(source.key, field) for field, (bit, _) in _FIELDS.items() if source.fields & bit}
    return Match(
        destination=_read_network(source.key.destination, source.destination_bits),
        source=_read_network(source.key.source, source.source_bits),
        priority=source.priority,
        **values,
    )


def _count_bits(network: Network) -> int:
    return network.prefixlen + (_MAPPED_BITS if network.version == 4 else 0)


def _read_network(octets: Any, bits: int) -> Network | None:
    if bits == 0:
        return None
    address = read_address(octets)
    return ip_network((address, bits - _MAPPED_BITS if address.version == 4 else bits))
