# SPDX-License-Identifier: Apache-2.0
"""What an output writes into its copy of a frame: `struct fp_rewrite` as a value."""

from dataclasses import dataclass
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError
from appliance.fastpath.frames import Address, pack_address, read_address

_MAC_BYTES = 6
# Field of Rewrite → field of the struct, FP_SET_* bit, largest value.
_NUMBERS = {
    "set_vlan": ("vlan", lib.FP_SET_VLAN, 4094),
    "push_vlan": ("vlan", lib.FP_PUSH_VLAN, 4094),
    "udp_source": ("udp_source", lib.FP_SET_UDP_SOURCE, 0xFFFF),
    "udp_port": ("udp_port", lib.FP_SET_UDP_PORT, 0xFFFF),
    "dscp": ("dscp", lib.FP_SET_DSCP, 63),
    "payload_type": ("payload_type", lib.FP_SET_PAYLOAD_TYPE, 127),
    "ssrc": ("ssrc", lib.FP_SET_SSRC, 0xFFFF_FFFF),
}
_MACS = {"destination_mac": lib.FP_SET_DESTINATION_MAC, "source_mac": lib.FP_SET_SOURCE_MAC}
_ADDRESSES = {"destination": lib.FP_SET_DESTINATION, "source": lib.FP_SET_SOURCE}
_SWITCHES = {"pop_vlan": lib.FP_POP_VLAN, "decrement_ttl": lib.FP_DECREMENT_TTL}


@dataclass(frozen=True, slots=True)
class Rewrite:
    """None leaves a field as it came. MAC addresses are 6 octets; at most one of the three VLAN fields."""

    destination_mac: bytes | None = None
    source_mac: bytes | None = None
    set_vlan: int | None = None
    push_vlan: int | None = None
    pop_vlan: bool = False
    source: Address | None = None
    destination: Address | None = None
    udp_source: int | None = None
    udp_port: int | None = None
    dscp: int | None = None
    decrement_ttl: bool = False
    payload_type: int | None = None
    ssrc: int | None = None


def write_rewrite(rewrite: Rewrite, target: Any) -> None:
    """Fill a zeroed `struct fp_rewrite`. NativeError where a field is outside its range."""
    for field, (native, bit, largest) in _NUMBERS.items():
        value = getattr(rewrite, field)
        if value is not None:
            if not 0 <= value <= largest:
                raise NativeError(names.E_INVALID, f"rewrite: {field} {value} is not in 0..{largest}")
            setattr(target, native, value)
            target.set |= bit
    for field, bit in _MACS.items():
        octets = getattr(rewrite, field)
        if octets is not None:
            if len(octets) != _MAC_BYTES:
                raise NativeError(names.E_INVALID, f"rewrite: {field} has {len(octets)} octets, 6 wanted")
            ffi.memmove(getattr(target, field), octets, _MAC_BYTES)
            target.set |= bit
    for field, bit in _ADDRESSES.items():
        address = getattr(rewrite, field)
        if address is not None:
            ffi.memmove(getattr(target, field), pack_address(address), 16)
            target.set |= bit
    for field, bit in _SWITCHES.items():
        target.set |= bit if getattr(rewrite, field) else 0


def read_rewrite(source: Any) -> Rewrite | None:
    """A `struct fp_rewrite` as a value; None where it changes nothing."""
    if source.set == 0:
        return None
    values: dict[str, Any] = {
        field: getattr(source, native) for field, (native, bit, _) in _NUMBERS.items() if source.set & bit
    }
    values |= {
        field: bytes(ffi.buffer(getattr(source, field))) for field, bit in _MACS.items() if source.set & bit
    }
    values |= {
        field: read_address(getattr(source, field)) for field, bit in _ADDRESSES.items() if source.set & bit
    }
    values |= {field: True for field, bit in _SWITCHES.items() if source.set & bit}
    return Rewrite(**values)
