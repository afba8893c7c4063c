# SPDX-License-Identifier: Apache-2.0
"""Frame keys: what a route matches on, and the C parser that finds it in a frame."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError

_UINT16_MAX = 0xFFFF
_V4_MAPPED = 0xFFFF << 32  # RFC 4291, 2.5.5.2


@dataclass(frozen=True, slots=True)
class FrameKey:
    """What a route matches on. `port` is the ingress port's index in its worker; None means no such tag."""

    port: int
    destination: IPv4Address | IPv6Address
    udp_port: int
    vlan: int | None = None
    inner_vlan: int | None = None


def parse_frame(frame: bytes, port: int = 0) -> FrameKey | names.DropReason:
    """The key of an Ethernet frame (no FCS) that came in on `port`, or why the worker would drop it."""
    key = ffi.new("struct fp_key *")
    result = lib.fp_frame_parse(ffi.from_buffer("const uint8_t[]", frame), len(frame), key)
    if result > 0:
        return names.DROP_REASONS[result - 1]
    key.port = port
    return read_key(key)


def write_key(key: FrameKey, target: Any) -> None:
    """Fill a zeroed `struct fp_key`. NativeError where a field is outside its range."""
    for field in ("port", "udp_port"):
        if not 0 <= getattr(key, field) <= _UINT16_MAX:
            seen = f"route key: {field} {getattr(key, field)}"
            raise NativeError(names.E_INVALID, f"{seen} is not in 0..{_UINT16_MAX}")
    for field in ("vlan", "inner_vlan"):
        value = getattr(key, field)
        if value is not None and not 0 <= value < names.NO_VLAN:
            raise NativeError(names.E_INVALID, f"route key: {field} {value} is not a VLAN id (0..4094)")
    ffi.memmove(target.destination, _pack_destination(key.destination), 16)
    target.port = key.port
    target.udp_port = key.udp_port
    target.vlan = names.NO_VLAN if key.vlan is None else key.vlan
    target.inner_vlan = names.NO_VLAN if key.inner_vlan is None else key.inner_vlan


def read_key(source: Any) -> FrameKey:
    """A `struct fp_key` as a value; an IPv4-mapped destination becomes an IPv4Address."""
    address = IPv6Address(bytes(ffi.buffer(source.destination)))
    return FrameKey(
        port=source.port,
        destination=address.ipv4_mapped or address,
        udp_port=source.udp_port,
        vlan=None if source.vlan == names.NO_VLAN else source.vlan,
        inner_vlan=None if source.inner_vlan == names.NO_VLAN else source.inner_vlan,
    )


def _pack_destination(address: IPv4Address | IPv6Address) -> bytes:
    if isinstance(address, IPv4Address):
        return IPv6Address(_V4_MAPPED | int(address)).packed
    return address.packed
