# SPDX-License-Identifier: Apache-2.0
"""Why a port could not be opened, as the operator reads it: what failed, what was seen, what to do."""

import errno
import platform
from pathlib import Path

from appliance.config.schema import DeviceKind
from appliance.config.worker_spec import PortSpec
from appliance.fastpath import NativeError, names

_LOOK_AT_THE_LOG = "look at the kernel log (`dmesg`)"
_DRIVERS_PLAYBOOK = "run playbooks/drivers.yml for {release}"


def render_refusal(port: PortSpec, error: NativeError) -> str:
    """`port red-in (netmap:ens4): <what was seen>; <what to do>` in one line."""
    interface = port.device.interface
    driver = read_driver(interface) if interface else None
    seen = _describe_seen(port, driver, error)
    return f"port {port.name} ({port.device}): {seen}; {_advise(port, error)}"


def render_hold_refusal(port: PortSpec, error: NativeError) -> str:
    """Why there are no buffers for frames that are held; `port` is one of their memory region."""
    if port.device.kind is DeviceKind.NETMAP and error.code == names.E_REGION:
        return (
            f"the kernel has fewer extra buffers than that (netmap has {_read_buffers()} for all its ports); raise "
            "netmap's buf_num (/sys/module/netmap/parameters/buf_num) before any port is open, or take smaller windows"
        )
    if port.device.kind is DeviceKind.NETMAP and error.code == names.E_SYSTEM:
        return f"{error.reason}; netmap needs a free VALE switch for it (`bridges`), {_LOOK_AT_THE_LOG}"
    return f"{error.reason}; take smaller windows"


def _read_buffers() -> str:
    try:
        return f"{int(Path('/sys/module/netmap/parameters/buf_curr_num').read_text()):,}"
    except (OSError, ValueError):
        return "an unknown number"


def read_driver(interface: str) -> str | None:
    """The kernel driver of an interface, or None where it has none (veth, bridge) or does not exist."""
    link = Path("/sys/class/net") / interface / "device" / "driver"
    return link.resolve().name if link.exists() else None


def _describe_seen(port: PortSpec, driver: str | None, error: NativeError) -> str:
    if error.code == names.E_NOT_NATIVE and driver:
        return f"driver {driver} is loaded without netmap, the emulated adapter was not allowed"
    if error.code == names.E_NO_DEVICE and port.device.interface:
        return f"the interface {port.device.interface} does not exist"
    if error.code == names.E_UNSUPPORTED and port.xdp is not None:
        owner = f"driver {driver}" if driver else "the driver"
        return f"{owner} or this kernel does not support XDP mode {port.xdp.mode} with {port.xdp.copy_mode}"
    return error.reason


def _advise(port: PortSpec, error: NativeError) -> str:
    playbook = _DRIVERS_PLAYBOOK.format(release=platform.release())
    interface = port.device.interface
    advice = {
        names.E_NO_NETMAP: f"load it with `modprobe netmap`, or {playbook}",
        names.E_NETMAP_VERSION: playbook,
        names.E_NOT_NATIVE: f"{playbook}, or write `emulated: allow`",
        names.E_NO_DEVICE: "`ip link` shows the interfaces of this host",
        names.E_BUSY: f"`ss -0 -p` shows who uses {interface or port.device}; end that, or name another port",
        names.E_UNSUPPORTED: _advise_mode(port),
        names.E_NO_BUSY_POLL: "leave `busy_poll` out; it needs Linux 5.11, CONFIG_NET_RX_BUSY_POLL, and since Linux "
        "6.13 a driver that says which NAPI instance a queue has (`netif_queue_set_napi`; veth does not)",
        names.E_NO_KLOOP: f"leave `sync: kloop` out, or {playbook}: driver-builds corrects the loop "
        "(netmap-kloop-signal)",
        names.E_NO_MEMORY: "use smaller ring_slots",
        names.E_REGION: "use smaller ring_slots, or fewer queues (`ethtool -L`)",
        names.E_MTU: f"lower the MTU: `ip link set {interface} mtu 1500`",
        names.E_SPEC: "write the device as in docs/reference: netmap:…, vale…:…, xdp:… or memory:…",
        names.E_SYSTEM: _advise_errno(port, error.errno),
    }
    return advice.get(error.code, _LOOK_AT_THE_LOG)


def _advise_errno(port: PortSpec, number: int) -> str:
    interface = port.device.interface or port.device.text
    if number in (errno.EPERM, errno.EACCES):
        return "the worker needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK"
    if number == errno.ENETDOWN:
        return f"`ip link set {interface} up`"
    if number == errno.EINVAL and port.device.queue is not None:
        return f"/sys/class/net/{interface}/queues shows the queues there are, {port.device.queue} was wanted"
    if number in (errno.ENOMEM, errno.ENOBUFS):
        return "use smaller ring_slots"
    return _LOOK_AT_THE_LOG


def _advise_mode(port: PortSpec) -> str:
    if port.xdp is None:
        return "use another kind of port"
    if port.xdp.copy_mode == "zerocopy":
        return "write `xdp: {copy: copy}` to accept copies"
    if port.xdp.mode == "native":
        return "write `xdp: {mode: generic}` to accept the generic hook"
    return "use another kind of port"
