# SPDX-License-Identifier: Apache-2.0
"""Frame keys: what a frame's headers say, and the C parser that finds it out."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError

Address = IPv4Address | IPv6Address

_V4_MAPPED = 0xFFFF << 32  # RFC 4291, 2.5.5.2
# Field of struct fp_key → the largest value a frame can carry.
_LIMITS = {"port": 0xFFFF, "udp_port": 0xFFFF, "udp_source": 0xFFFF, "dscp": 63, "ssrc": 0xFFFF_FFFF}


@dataclass(frozen=True, slots=True)
class FrameKey:
    """What a frame's headers say. `port` is the ingress port's index in its worker.

    None means no such tag, no RTP (`payload_type`; `ssrc` is then 0), or a source that does not matter.
    """

    port: int
    destination: Address
    udp_port: int
    vlan: int | None = None
    inner_vlan: int | None = None
    source: Address | None = None
    udp_source: int = 0
    dscp: int = 0
    payload_type: int | None = None
    ssrc: int = 0


def parse_frame(frame: bytes, port: int = 0) -> FrameKey | names.DropReason:
    """The key of an Ethernet frame (no FCS) that came in on `port`, or why it fits no route for UDP."""
    key = ffi.new("struct fp_key *")
    result = lib.fp_frame_parse(ffi.from_buffer("const uint8_t[]", frame), len(frame), key)
    if result > 0:
        return names.DROP_REASONS[result - 1]
    key.port = port
    return read_key(key)


def read_host_class(frame: bytes, mac: bytes) -> str | None:
    """The class ("arp", "ptp", …) of a frame for an interface of address `mac`; None: it is none of the host's.

    NativeError where `mac` is not 6 octets.
    """
    if len(mac) != 6:
        raise NativeError(names.E_INVALID, f"MAC address of {len(mac)} octets")
    view = ffi.from_buffer("const uint8_t[]", frame)
    bit = lib.fp_host_class(view, len(frame), ffi.from_buffer("const uint8_t[]", mac))
    return next((name for name, value in names.HOST_CLASSES.items() if value == bit), None)


def write_key(key: FrameKey, target: Any) -> None:
    """Fill a zeroed `struct fp_key`. NativeError where a field is outside its range."""
    for field, largest in _LIMITS.items():
        value = getattr(key, field)
        if not 0 <= value <= largest:
            raise NativeError(names.E_INVALID, f"route key: {field} {value} is not in 0..{largest}")
        setattr(target, field, value)
    for field in ("vlan", "inner_vlan"):
        value = getattr(key, field)
        if value is not None and not 0 <= value < names.NO_VLAN:
            raise NativeError(names.E_INVALID, f"route key: {field} {value} is not a VLAN id (0..4094)")
        setattr(target, field, names.NO_VLAN if value is None else value)
    ffi.memmove(target.destination, pack_address(key.destination), 16)
    if key.source is not None:
        ffi.memmove(target.source, pack_address(key.source), 16)
    target.payload_type = names.NOT_RTP if key.payload_type is None else key.payload_type


def read_key(source: Any) -> FrameKey:
    """A `struct fp_key` as a value; IPv4-mapped addresses become IPv4Address."""
    return FrameKey(
        port=source.port,
        destination=read_address(source.destination),
        udp_port=source.udp_port,
        vlan=None if source.vlan == names.NO_VLAN else source.vlan,
        inner_vlan=None if source.inner_vlan == names.NO_VLAN else source.inner_vlan,
        source=read_address(source.source),
        udp_source=source.udp_source,
        dscp=source.dscp,
        payload_type=None if source.payload_type == names.NOT_RTP else source.payload_type,
        ssrc=source.ssrc,
    )


def read_address(octets: Any) -> Address:
    """The 16 octets of a `struct fp_key` or `struct fp_rewrite` as an address."""
    address = IPv6Address(bytes(ffi.buffer(octets)))
    return address.ipv4_mapped or address


def pack_address(address: Address) -> bytes:
    """16 octets; IPv4 as ::ffff:a.b.c.d."""
    if isinstance(address, IPv4Address):
        return IPv6Address(_V4_MAPPED | int(address)).packed
    return address.packed
