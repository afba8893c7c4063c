# SPDX-License-Identifier: Apache-2.0
"""The one declaration of the configuration: fields, ranges and defaults.

`check` adds what needs more than one field. Every description below completes the sentence "missing; give …"
and is what the reference page is made from.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from appliance.config.device import Device, DeviceKind, DeviceShape, parse_device

# Limits of native/include/fastpath.h (FP_MAX_OUTPUTS, FP_MAX_PORTS, FP_MAX_ROUTES);
# tests/contract/test_config_contract.py compares them, because config may not import the fast path.
MAX_OUTPUTS = 8
MAX_PORTS_PER_WORKER = 16
MAX_ROUTES_PER_WORKER = 16384
# Fewer than one burst (FP_BURST_FRAMES) would drop at every burst; more than 2^15 slots a ring only hold
# memory and age frames: 32,768 are 37 ms of one 10G port full of media.
MIN_RING_SLOTS = 64
MAX_RING_SLOTS = 32768

# Names become folder names under the runtime directory and labels in Prometheus;
# 63 is FP_NAME_BYTES less the NUL.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
DEFAULT_WORKER = "main"

Address = IPv4Address | IPv6Address
WaitMode = Literal["poll", "busy", "adaptive"]


def _parse_text_field(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    return value


def _parse_device_field(value: object) -> Device:
    return value if isinstance(value, Device) else parse_device(_parse_text_field(value))


def _parse_address(value: object) -> Address:
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    text = _parse_text_field(value)
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


def _parse_group(value: object) -> Address:
    address = _parse_address(value)
    if not address.is_multicast:
        # IPv4: RFC 5771; IPv6: RFC 4291, 2.7.
        wanted = "224.0.0.0/4" if address.version == 4 else "ff00::/8"
        raise ValueError(f"{address} is not a multicast address; use {wanted}")
    return address


def _parse_destination(value: object) -> Address:
    address = _parse_address(value)
    if address.is_multicast:
        raise ValueError(f"{address} is a multicast address; write `group: {address}`")
    if address.is_unspecified:
        raise ValueError(f"{address} is no frame's destination; give the address of the receiver")
    return address


def _check_power_of_two(value: int) -> int:
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"{value} is not a power of two; use {below} or {below * 2}")
    return value


def _address_schema(what: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": what})


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
DeviceField = Annotated[
    Device,
    PlainValidator(_parse_device_field),
    PlainSerializer(str, return_type=str),
    _address_schema("a device"),
]
GroupField = Annotated[
    Address,
    PlainValidator(_parse_group),
    PlainSerializer(str, return_type=str),
    _address_schema("a multicast address"),
]
DestinationField = Annotated[
    Address,
    PlainValidator(_parse_destination),
    PlainSerializer(str, return_type=str),
    _address_schema("a unicast address"),
]
RingSlots = Annotated[int, Field(ge=MIN_RING_SLOTS, le=MAX_RING_SLOTS), AfterValidator(_check_power_of_two)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Worker(_Section):
    """One forwarding process."""

    name: Name = Field(description="a name for the worker")
    cpu: int | None = Field(
        default=None, ge=0, le=4095, description="the CPU it is pinned to; absent: not pinned"
    )
    wait: WaitMode = Field(default="adaptive", description="what it does when no frame is there")


class XdpOptions(_Section):
    """How an `xdp:` port attaches; the weaker mode is never chosen unasked."""

    mode: Literal["native", "generic"] = Field(
        default="native", description="the driver's hook, or the generic one"
    )
    copy_mode: Literal["copy", "zerocopy"] = Field(
        default="copy", alias="copy", description="whether frames may be copied, or must not be"
    )


class Port(_Section):
    """Where frames come in and go out."""

    name: Name = Field(description="a name for the port")
    device: DeviceField = Field(
        description="the device: netmap:INTERFACE, vale0:PORT, xdp:INTERFACE or memory:NAME"
    )
    worker: Name | None = Field(
        default=None, description="the worker that opens it; optional while there is one"
    )
    emulated: Literal["refuse", "allow"] | None = Field(
        default=None, description="netmap only: whether the generic adapter is accepted; absent: refuse"
    )
    xdp: XdpOptions | None = Field(default=None, description="xdp only: how it attaches")
    ring_slots: RingSlots | None = Field(
        default=None, description="xdp and memory only: slots of each ring, a power of two; absent: 4096"
    )
    membership: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: the groups of routes are joined at its interface (IGMPv3, MLDv2); "
        "`off`: the network sends them anyway",
    )


class Match(_Section):
    """Which frames a route takes; every field given must be equal."""

    port: Name = Field(description="the port the frames arrive at")
    vlan: int | None = Field(
        default=None, ge=0, le=4094, description="outer VLAN id; absent: untagged frames only"
    )
    inner_vlan: int | None = Field(default=None, ge=0, le=4094, description="inner VLAN id; needs vlan")
    group: GroupField | None = Field(default=None, description="destination address, multicast")
    destination: DestinationField | None = Field(default=None, description="destination address, unicast")
    udp_port: int = Field(ge=1, le=65535, description="the UDP destination port, 1 to 65535")

    def __str__(self) -> str:
        """`red-in vlan 100.200 239.1.2.1:6000`."""
        tags = [str(tag) for tag in (self.vlan, self.inner_vlan) if tag is not None]
        vlan = f" vlan {'.'.join(tags)}" if tags else ""
        address = self.group or self.destination
        shown = f"[{address}]" if address is not None and address.version == 6 else str(address)
        return f"{self.port}{vlan} {shown}:{self.udp_port}"


class Route(_Section):
    """Frames that match go to every output."""

    name: Name = Field(description="a name for the route")
    match: Match = Field(description="which frames it takes")
    outputs: list[Name] = Field(
        min_length=1, max_length=MAX_OUTPUTS, description="the names of 1 to 8 ports it sends to"
    )


class Config(_Section):
    """The whole configuration."""

    version: Literal[1] = Field(description="the version of this format: 1")
    workers: list[Worker] = Field(
        default_factory=lambda: [Worker(name=DEFAULT_WORKER)], min_length=1, description="the workers"
    )
    ports: list[Port] = Field(min_length=1, description="the ports")
    routes: list[Route] = Field(default_factory=list, description="the routes")

    def worker_of(self, port: Port) -> str:
        """The name of the worker that opens `port`; the only worker where it names none."""
        return port.worker if port.worker is not None else self.workers[0].name

    def ports_of(self, worker: str) -> list[Port]:
        """Its ports, in the order of the file."""
        return [port for port in self.ports if self.worker_of(port) == worker]

    def routes_of(self, worker: str) -> list[Route]:
        """The routes whose frames arrive at one of its ports."""
        mine = {port.name for port in self.ports_of(worker)}
        return [route for route in self.routes if route.match.port in mine]


__all__ = [
    "Config",
    "Device",
    "DeviceKind",
    "DeviceShape",
    "Match",
    "Port",
    "Route",
    "Worker",
    "XdpOptions",
]
