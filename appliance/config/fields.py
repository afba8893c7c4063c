# SPDX-License-Identifier: Apache-2.0
"""The field types of the configuration: from what the file says to a value, or to what to write instead."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from appliance.config.device import Device, parse_device

# Fewer than one burst (FP_BURST_FRAMES) would drop at every burst; more than 2^15 slots a ring only hold
# memory and age frames: 32,768 are 37 ms of one 10G port full of media.
MIN_RING_SLOTS = 64
MAX_RING_SLOTS = 32768
MAX_DSCP = 63  # RFC 2474, 3: six bits
MAX_VLAN = 4094  # IEEE 802.1Q-2018, 9.6: 4095 is reserved
TAG_WORDS = ("untagged", "any")
MAC_WORDS = ("from-group", "keep")
MAX_PAYLOAD_TYPE = 127  # RFC 3550, 5.1: seven bits

# Names become folder names under the runtime directory and labels in Prometheus;
# 63 is FP_NAME_BYTES less the NUL.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
WaitMode = Literal["poll", "busy", "adaptive"]

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?P<separator>[:-])(?:[0-9A-Fa-f]{2}(?P=separator)){4}[0-9A-Fa-f]{2}")
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2: how the fast path keeps IPv4 addresses


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    return value


def _parse_whole(value: object, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    if value < 0:
        raise PydanticCustomError("greater_than_equal", "too small", {"ge": 0})
    if value > highest:
        raise PydanticCustomError("less_than_equal", "too large", {"le": highest})
    return value


def _parse_device_field(value: object) -> Device:
    return value if isinstance(value, Device) else parse_device(_parse_text(value))


def _parse_address(value: object) -> Address:
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    text = _parse_text(value)
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an IPv4 or IPv6 address; use the form 239.1.2.1 or ff3e::1"
        ) from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError(
                f"{text} has a zone; leave %{address.scope_id} out, `port` says where it arrives"
            )
        if address.ipv4_mapped is not None:
            raise ValueError(f"{text} is an IPv4 address in IPv6 dress; write {address.ipv4_mapped}")
    return address


def _parse_network(value: object) -> Network:
    """An address, or a prefix like 239.1.0.0/16."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = _parse_text(value)
    address_text, slash, bits = text.partition("/")
    address = _parse_address(address_text)
    if not slash:
        return ip_network(address)
    if not bits.isdecimal() or int(bits) > address.max_prefixlen:
        raise ValueError(
            f"{text!r} is not a prefix; use {address}/0 to {address}/{address.max_prefixlen}, "
            "in decimal digits"
        )
    network = ip_network((address, int(bits)), strict=False)
    if network.network_address != address:
        raise ValueError(f"{text} has bits set behind its prefix; write {network} or {address}")
    if isinstance(network, IPv6Network) and network.supernet_of(_MAPPED):
        raise ValueError(f"{text} holds IPv4 addresses too (::ffff:0:0/96); use ff00::/8 or 2000::/3")
    return network


def _check_multicast(address: Address | Network) -> None:
    if not address.is_multicast:
        # IPv4: RFC 5771; IPv6: RFC 4291, 2.7.
        wanted = "224.0.0.0/4" if address.version == 4 else "ff00::/8"
        raise ValueError(f"{render_network(address)} is not a multicast address; use {wanted}")


def _parse_group(value: object) -> Network:
    network = _parse_network(value)
    _check_multicast(network)
    return network


def _parse_new_group(value: object) -> Address:
    address = _parse_address(value)
    _check_multicast(address)
    return address


def _refuse_multicast(network: Address | Network, field: str) -> None:
    shown = render_network(network)
    if network.is_multicast:
        wrong = "write `group: {0}`" if field == "destination" else "no frame comes from there, remove it"
        raise ValueError(f"{shown} is a multicast address; {wrong.format(shown)}")


def _parse_destination(value: object) -> Network:
    network = _parse_network(value)
    _refuse_multicast(network, "destination")
    if network.num_addresses == 1 and network.is_unspecified:
        raise ValueError(
            f"{render_network(network)} is no frame's destination; give the address of the receiver"
        )
    return network


def _parse_source(value: object) -> Network:
    network = _parse_network(value)
    _refuse_multicast(network, "source")
    return network


def _parse_unicast(field: str) -> Callable[[object], Address]:
    def parse(value: object) -> Address:
        address = _parse_address(value)
        _refuse_multicast(address, field)
        if address.is_unspecified:
            raise ValueError(f"{address} is nobody's address; give one of a host")
        return address

    return parse


def parse_mac(text: str) -> bytes:
    """6 octets of `01:00:5e:01:02:03` or `01-00-5E-01-02-03`. ValueError for anything else."""
    if _MAC.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a MAC address; use the form 01:00:5e:01:02:03")
    octets = bytes.fromhex(text.replace("-", ":").replace(":", ""))
    if octets == bytes(6):
        raise ValueError(f"{text} is nobody's MAC address; give one of an interface")
    return octets


def render_mac(octets: bytes) -> str:
    """`01:00:5e:01:02:03`."""
    return octets.hex(":")


def _parse_source_mac(value: object) -> bytes:
    octets = value if isinstance(value, bytes) else parse_mac(_parse_text(value))
    if octets[0] & 1:  # IEEE 802-2014, 8.2.2: the group bit
        raise ValueError(f"{render_mac(octets)} is a group's MAC address; a source is one interface")
    return octets


def _parse_destination_mac(value: object) -> bytes | str:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value in MAC_WORDS:
        return value
    try:
        return parse_mac(_parse_text(value))
    except ValueError as error:
        raise ValueError(f"{error}, from-group or keep") from None


def _parse_whole_or_word(value: object, highest: int, words: tuple[str, ...]) -> int | str:
    if not isinstance(value, str) or value.isdecimal():
        return _parse_whole(value, highest)
    if value not in words:
        raise ValueError(f"{value!r} is not known; use 0 to {highest}, {' or '.join(words)}")
    return value


def _parse_tag(value: object) -> int | str:
    return _parse_whole_or_word(value, MAX_VLAN, TAG_WORDS)


def _parse_payload_type(value: object) -> int | str:
    return _parse_whole_or_word(value, MAX_PAYLOAD_TYPE, ("not_rtp",))


def _parse_ssrc(value: object) -> int:
    """Wireshark shows SSRCs in hexadecimal, so 0x… is understood."""
    if isinstance(value, str) and re.fullmatch(r"0[xX][0-9A-Fa-f]{1,16}", value):
        value = int(value, 16)
    return _parse_whole(value, 0xFFFF_FFFF)


def parse_ports(value: object) -> object:
    """One name is a list of one."""
    return value if isinstance(value, list | tuple) else [_parse_text(value)]


def _check_power_of_two(value: int) -> int:
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"{value} is not a power of two; use {below} or {below * 2}")
    return value


def render_network(network: Address | Network) -> str:
    """`239.1.2.1`, or `239.1.0.0/16` where it is more than one address."""
    if isinstance(network, IPv4Network | IPv6Network) and network.num_addresses == 1:
        return str(network.network_address)
    return str(network)


def _render_mac_field(value: bytes | str) -> str:
    return value if isinstance(value, str) else render_mac(value)


def _field(parse: Callable[[Any], Any], render: Callable[[Any], Any], what: str) -> tuple[Any, ...]:
    """The annotations of a field that is read by `parse` and written by `render`."""
    schema = WithJsonSchema({"type": "string", "description": what})
    return PlainValidator(parse), PlainSerializer(render), schema


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
RingSlots = Annotated[int, Field(ge=MIN_RING_SLOTS, le=MAX_RING_SLOTS), AfterValidator(_check_power_of_two)]
DeviceField = Annotated[Device, *_field(_parse_device_field, str, "a device")]
GroupField = Annotated[Network, *_field(_parse_group, render_network, "a multicast address or prefix")]
DestinationField = Annotated[
    Network, *_field(_parse_destination, render_network, "a unicast address or prefix")
]
SourceField = Annotated[Network, *_field(_parse_source, render_network, "a unicast address or prefix")]
NewGroupField = Annotated[Address, *_field(_parse_new_group, str, "a multicast address")]
NewDestinationField = Annotated[Address, *_field(_parse_unicast("destination"), str, "a unicast address")]
NewSourceField = Annotated[Address, *_field(_parse_unicast("source"), str, "a unicast address")]
TagField = Annotated[int | str, *_field(_parse_tag, lambda tag: tag, "a VLAN id, untagged or any")]
PayloadTypeField = Annotated[
    int | str, *_field(_parse_payload_type, lambda value: value, "an RTP payload type or not_rtp")
]
SsrcField = Annotated[int, *_field(_parse_ssrc, lambda ssrc: ssrc, "an RTP SSRC")]
SourceMacField = Annotated[bytes, *_field(_parse_source_mac, render_mac, "a MAC address")]
DestinationMacField = Annotated[
    bytes | str, *_field(_parse_destination_mac, _render_mac_field, "a MAC address, from-group or keep")
]
