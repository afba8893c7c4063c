# SPDX-License-Identifier: Apache-2.0
"""What this host says about the interfaces a configuration names, and whether they can be ports.

Facts come from rtnetlink, which answers for the network namespace of the process, and from sysfs where only
sysfs knows. `find_port_problems` is pure: facts in, sentences out.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from appliance.config.device import Device, DeviceKind, DeviceShape
from appliance.config.worker_spec import PortSpec
from appliance.errors import HostError

_SYS = Path("/sys")
_NETMAP_DEVICE = Path("/dev/netmap")
_IFF_UP = 0x1  # <linux/if.h>
_IFF_PROMISC = 0x100

# What a frame carries beside the interface's MTU: Ethernet header and two 802.1Q tags.
FRAME_OVERHEAD_BYTES = 14 + 2 * 4
# What the kernel keeps in front of an AF_XDP frame (XDP_PACKET_HEADROOM), and the buffers a worker's region
# has (appliance/worker/opened.py; tests/contract/test_config_contract.py compares them).
XDP_HEADROOM_BYTES = 256
XDP_BUFFER_BYTES = 2048


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """One network interface. `driver` is the link kind ("veth") where no device is behind it."""

    name: str
    index: int
    driver: str | None
    module: str | None
    """The kernel module of the driver; None where it is built in, or unknown."""
    up: bool
    promiscuous: bool
    carrier: bool
    mtu_bytes: int
    rx_queues: int
    tx_queues: int


@dataclass(frozen=True, slots=True)
class NetmapFacts:
    """The netmap module of this host."""

    loaded: bool
    buffer_bytes: int
    users: frozenset[str]
    """Modules that use netmap's symbols: the drivers that carry its hooks."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything `find_port_problems` judges by."""

    kernel_release: str
    interfaces: Mapping[str, InterfaceFacts]
    netmap: NetmapFacts


def read_host() -> HostFacts:
    """Look at the host. Raises HostError where netlink does not answer."""
    try:
        with IPRoute() as route:
            links = [_read_link(link) for link in route.get_links()]
    except OSError as error:
        raise HostError(f"interfaces: netlink: {error.strerror}; run the daemon as root") from error
    return HostFacts(os.uname().release, {facts.name: facts for facts in links}, read_netmap())


def read_netmap() -> NetmapFacts:
    """The netmap module as /dev and /sys show it."""
    module = _SYS / "module/netmap"
    holders = module / "holders"
    users = frozenset(entry.name for entry in holders.iterdir()) if holders.is_dir() else frozenset()
    try:
        buffer_bytes = int((module / "parameters/buf_size").read_text())
    except (OSError, ValueError):
        buffer_bytes = 2048  # netmap's default, netmap(4)
    return NetmapFacts(_NETMAP_DEVICE.exists(), buffer_bytes, users)


def _read_link(link: Mapping[str, object]) -> InterfaceFacts:
    get = link.get_attr  # type: ignore[attr-defined]
    name = str(get("IFLA_IFNAME"))
    driver, module = _read_driver(name)
    info = get("IFLA_LINKINFO")
    flags = int(link["flags"])  # type: ignore[call-overload]
    return InterfaceFacts(
        name=name,
        index=int(link["index"]),  # type: ignore[call-overload]
        driver=driver or (info.get_attr("IFLA_INFO_KIND") if info is not None else None),
        module=module,
        up=bool(flags & _IFF_UP),
        promiscuous=bool(flags & _IFF_PROMISC),
        carrier=bool(get("IFLA_CARRIER")),
        mtu_bytes=int(get("IFLA_MTU") or 0),
        rx_queues=int(get("IFLA_NUM_RX_QUEUES") or 1),
        tx_queues=int(get("IFLA_NUM_TX_QUEUES") or 1),
    )


def _read_driver(name: str) -> tuple[str | None, str | None]:
    """Driver and module names by sysfs; of another namespace's interface nothing is known."""
    driver = _SYS / "class/net" / name / "device/driver"
    if not driver.exists():
        return None, None
    module = driver / "module"
    return driver.resolve().name, module.resolve().name if module.exists() else None


def find_port_problems(ports: Iterable[PortSpec], host: HostFacts) -> list[str]:
    """Why ports cannot be opened on this host, one sentence each: what was seen, wanted, and what to do."""
    return [problem for port in ports if (problem := _find_problem(port, host)) is not None]


def _find_problem(port: PortSpec, host: HostFacts) -> str | None:
    device = port.device
    if device.kind is DeviceKind.NETMAP and not host.netmap.loaded:
        return (
            f"port {port.name}: {device}: netmap is not loaded, /dev/netmap does not exist; "
            f"run playbooks/drivers.yml for {host.kernel_release}"
        )
    if device.interface is None:
        return None
    facts = host.interfaces.get(device.interface)
    if facts is None:
        here = ", ".join(sorted(name for name in host.interfaces if name != "lo")) or "none"
        return (
            f"port {port.name}: {device.interface}: no such interface on this host; interfaces here: {here}"
        )
    return (
        _find_queue_problem(port.name, device, facts)
        or _find_driver_problem(port, facts, host)
        or _find_size_problem(port.name, device, facts, host.netmap)
    )


def _find_queue_problem(name: str, device: Device, facts: InterfaceFacts) -> str | None:
    if device.queue is None or device.queue < max(facts.rx_queues, facts.tx_queues):
        return None
    queues = max(facts.rx_queues, facts.tx_queues)
    return f"port {name}: {facts.name} has queues 0 to {queues - 1}, queue {device.queue} was asked for"


def _find_driver_problem(port: PortSpec, facts: InterfaceFacts, host: HostFacts) -> str | None:
    """Only what sysfs can prove; the worker has the last word from the kernel itself."""
    if port.device.kind is not DeviceKind.NETMAP or port.device.shape is DeviceShape.HOST:
        return None
    if port.emulated == "allow" or facts.module is None or facts.module in host.netmap.users:
        return None
    return (
        f"port {facts.name}: driver {facts.driver} is loaded without netmap, the emulated adapter was not "
        f"allowed; run playbooks/drivers.yml for {host.kernel_release}"
    )


def _find_size_problem(name: str, device: Device, facts: InterfaceFacts, netmap: NetmapFacts) -> str | None:
    needed = facts.mtu_bytes + FRAME_OVERHEAD_BYTES
    if device.kind is DeviceKind.NETMAP and device.shape is not DeviceShape.HOST:
        room, remedy = netmap.buffer_bytes, "load netmap with a larger buf_size or lower the MTU"
    elif device.kind is DeviceKind.XDP:
        room, remedy = XDP_BUFFER_BYTES - XDP_HEADROOM_BYTES, "lower the MTU"
    else:
        return None
    if needed <= room:
        return None
    return (
        f"port {name}: {facts.name} has MTU {facts.mtu_bytes}, frames of {needed} bytes; "
        f"its buffers hold {room} bytes; {remedy}"
    )
