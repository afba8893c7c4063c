# SPDX-License-Identifier: Apache-2.0
"""`host_stack:` of a port: what the host's own network stack gets of an interface whose media bypasses it.

| class | frames |
| --- | --- |
| `arp` | ARP |
| `nd` | IPv6 neighbour discovery, router solicitations and advertisements, redirects |
| `igmp` | IGMP |
| `mld` | MLDv1 and MLDv2 |
| `ptp` | PTP over UDP (ports 319 and 320) and over Ethernet |
| `lldp` | LLDP |
| `unicast` | to the interface's own or the broadcast MAC address: all but UDP (ssh, ping), UDP from or to a
system port 0..1023 (DHCP, DNS, NTP), IP fragments |

With up to two VLAN tags. What the host sends leaves by the interface.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from appliance.config.device import NAME_BYTES, Device, DeviceKind, DeviceShape
from appliance.config.yaml_source import Problem

if TYPE_CHECKING:
    from appliance.config.schema import Config

# Of enum fp_host in native/include/fastpath.h; tests/contract/test_host_stack.py compares them.
HostClass = Literal["arp", "nd", "igmp", "mld", "ptp", "lldp", "unicast"]

# Of netmap(4), "host rings". No port of the configuration can have it in its name.
HOST_MARK = "^"


def _check_once(classes: list[HostClass]) -> list[HostClass]:
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice; name each class once")
    return classes


HostStack = Annotated[list[HostClass], Field(min_length=1), AfterValidator(_check_once)]


def needs_host_port(device: Device, classes: Sequence[HostClass] | None) -> bool:
    """Whether the worker opens the host's rings of the interface beside the port: an XDP program needs none."""
    return bool(classes) and device.kind is DeviceKind.NETMAP


def name_host_port(text: str) -> str:
    """The name or device of the port that stands for the host's side of a port."""
    return text + HOST_MARK


def find_host_stack_problems(config: "Config", most_ports: int) -> Iterator[Problem]:
    """Ports that cannot have a host stack beside them, and workers with too many ports on account of it."""
    taken = {port.device.text: port.name for port in config.ports}
    for index, port in enumerate(config.ports):
        if port.host_stack is None:
            continue
        if port.device.kind is not DeviceKind.XDP and port.device.shape is not DeviceShape.WHOLE:
            yield Problem(
                ("ports", index, "host_stack"),
                f"{port.device} is not a whole interface; use netmap:INTERFACE or xdp:INTERFACE, or remove it",
            )
        elif needs_host_port(port.device, port.host_stack) and name_host_port(port.device.text) in taken:
            other = taken[name_host_port(port.device.text)]
            yield Problem(
                ("ports", index, "host_stack"),
                f"the host's side of {port.device} is port {other}; keep one of the two",
            )
        if needs_host_port(port.device, port.host_stack) and len(port.name) + 2 > NAME_BYTES:
            yield Problem(
                ("ports", index, "name"),
                f"is too long beside `host_stack`; use at most {NAME_BYTES - 2} characters",
            )
    for index, worker in enumerate(config.workers):
        ports = config.ports_of(worker.name)
        host_ports = sum(needs_host_port(port.device, port.host_stack) for port in ports)
        if len(ports) <= most_ports < len(ports) + host_ports:
            yield Problem(
                ("workers", index),
                f"worker {worker.name} has {len(ports)} ports and {host_ports} host ports of them, "
                f"at most {most_ports}; add a worker",
            )
