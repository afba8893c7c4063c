# SPDX-License-Identifier: Apache-2.0
"""The one declaration of the configuration: fields, ranges and defaults.

Sections about frames are in `match`, `outputs`, `media` and `routes`, field types in `fields` and `formats`; `check`,
`check_routes` and `check_media` add what needs more than one field. Every description completes the sentence
"missing; give …" and is what the reference page is made from.
"""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from appliance.config.device import Device, DeviceKind, DeviceShape
from appliance.config.fields import (
    MAX_RING_SLOTS,
    MIN_RING_SLOTS,
    NAME_PATTERN,
    DeviceField,
    Name,
    RingSlots,
    WaitMode,
)
from appliance.config.host_stack import HostStack
from appliance.config.match import Match
from appliance.config.media import Observe, Pacing, Protect
from appliance.config.outputs import MAX_OUTPUTS, Output, Outputs, VlanChange
from appliance.config.routes import CrossConnect, Route
from appliance.config.section import Section

# Limits of native/include/fastpath.h (FP_MAX_PORTS, FP_MAX_ROUTES, FP_MAX_SHAPES, FP_MAX_REWRITES);
# tests/contract/test_config_contract.py compares them, because config may not import the fast path.
MAX_PORTS_PER_WORKER = 16
MAX_ROUTES_PER_WORKER = 16384
MAX_SHAPES_PER_WORKER = 32
MAX_REWRITES_PER_WORKER = 65535

DEFAULT_WORKER = "main"


def _tell_default(value: object) -> str:
    return "\0outputs" if isinstance(value, list) else "\0name"


# The tags show up in the locations of errors; `messages` takes them out by their NUL, which no file can hold.
DefaultField = Annotated[
    Annotated[Name, Tag("\0name")] | Annotated[Outputs, Tag("\0outputs")], Discriminator(_tell_default)
]


class Worker(Section):
    """One forwarding process."""

    name: Name = Field(description="a name for the worker")
    cpu: int | None = Field(
        default=None, ge=0, le=4095, description="the CPU it is pinned to; absent: not pinned"
    )
    wait: WaitMode = Field(default="adaptive", description="what it does when no frame is there")


class BusyPoll(Section):
    """The worker polls the queues of an `xdp:` port itself, instead of the kernel by interrupts."""

    poll_us: int = Field(
        default=20, ge=1, le=1_000_000, description="SO_BUSY_POLL; no call of the appliance waits for so long"
    )
    budget_frames: int = Field(
        default=64, ge=1, le=65535, description="the most frames one poll of a queue takes"
    )
    flush_timeout_us: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="gro_flush_timeout of the interface: the kernel polls a queue that nobody has polled for so long",
    )
    defer_hard_irqs: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="napi_defer_hard_irqs of the interface: so many empty polls before interrupts are on again",
    )


class XdpOptions(Section):
    """How an `xdp:` port attaches; the weaker mode is never chosen unasked."""

    mode: Literal["native", "generic"] = Field(
        default="native", description="the driver's hook, or the generic one"
    )
    copy_mode: Literal["copy", "zerocopy"] = Field(
        default="copy", alias="copy", description="whether frames may be copied, or must not be"
    )
    busy_poll: BusyPoll | None = Field(
        default=None,
        description="the worker polls the queues itself (`{}`: with the values below); absent: interrupts",
    )


class Port(Section):
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
    sync: Literal["calls", "kloop"] | None = Field(
        default=None,
        description="netmap only: `kloop`, a loop in the kernel syncs the rings and the worker makes no system call; "
        "its `wait` has to be `busy`; absent: calls",
    )
    ring_slots: RingSlots | None = Field(
        default=None, description="xdp and memory only: slots of each ring, a power of two; absent: 4096"
    )
    steer: Literal["ntuple"] | None = Field(
        default=None,
        description="single queues only: `ntuple`, rules in the NIC send the frames of routes that name this port to "
        "its queue; absent: the NIC spreads frames over its queues by itself",
    )
    default: DefaultField | None = Field(
        default=None,
        description="what becomes of frames that no route takes: `drop`, the name of a route, "
        "or a list of outputs; absent: drop",
    )
    membership: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: the groups of routes are joined at its interface (IGMPv3, MLDv2); "
        "`off`: the network sends them anyway",
    )
    host_stack: HostStack | None = Field(
        default=None, description="classes of frames the host's network stack gets; absent: none"
    )


class Config(Section):
    """The whole configuration."""

    version: Literal[1] = Field(description="the version of this format: 1")
    workers: list[Worker] = Field(
        default_factory=lambda: [Worker(name=DEFAULT_WORKER)], min_length=1, description="the workers"
    )
    ports: list[Port] = Field(min_length=1, description="the ports")
    cross_connects: list[CrossConnect] = Field(
        default_factory=list, description="pairs of ports that send each other what no route takes"
    )
    routes: list[Route] = Field(default_factory=list, description="the routes")
    discover: bool = Field(
        default=False,
        description="true: flows that no route takes are listed in `status --json`, the newest 1,024 of each "
        "worker; each of their frames then costs some time",
    )

    def worker_of(self, port: Port) -> str:
        """The name of the worker that opens `port`; the only worker where it names none."""
        return port.worker if port.worker is not None else self.workers[0].name

    def ports_of(self, worker: str) -> list[Port]:
        """Its ports, in the order of the file."""
        return [port for port in self.ports if self.worker_of(port) == worker]


__all__ = [
    "MAX_OUTPUTS",
    "MAX_RING_SLOTS",
    "MIN_RING_SLOTS",
    "NAME_PATTERN",
    "BusyPoll",
    "Config",
    "CrossConnect",
    "Device",
    "DeviceField",
    "DeviceKind",
    "DeviceShape",
    "Match",
    "Name",
    "Observe",
    "Output",
    "Pacing",
    "Port",
    "Protect",
    "RingSlots",
    "Route",
    "Section",
    "VlanChange",
    "WaitMode",
    "Worker",
    "XdpOptions",
]
