# SPDX-License-Identifier: Apache-2.0
"""What the `device:` of a port says, taken apart.

| text | kind | names |
| --- | --- | --- |
| `netmap:ens4` | netmap | all hardware rings of an interface |
| `netmap:ens4-2` | netmap | hardware ring pair 2 of it |
| `netmap:ens4^` | netmap | the host stack's rings of it |
| `netmap:red{1`, `netmap:red}1` | netmap | the two ends of pipe 1 |
| `vale0:1` | netmap | port 1 of VALE switch 0 |
| `xdp:ens4`, `xdp:ens4-2` | xdp | all queues, or queue 2, of an interface |
| `memory:a` | memory | rings in ordinary memory |

The forms are those of netmap(4) and of the design page; the worker hands the text on as it stands.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

# Of FP_NAME_BYTES in native/include/fastpath.h; tests/contract/test_config_contract.py compares them.
NAME_BYTES = 64
# IFNAMSIZ of <net/if.h> less the NUL.
INTERFACE_BYTES = 15

KNOWN_FORMS = "netmap:INTERFACE, vale0:PORT, xdp:INTERFACE or memory:NAME"


class DeviceKind(StrEnum):
    """Which implementation of the port seam opens it."""

    NETMAP = "netmap"
    XDP = "xdp"
    MEMORY = "memory"


class DeviceShape(StrEnum):
    """What of a device is opened."""

    WHOLE = "whole"
    """Every ring of an interface."""
    QUEUE = "queue"
    """One ring pair of an interface."""
    HOST = "host"
    """The host stack's side of an interface."""
    PIPE = "pipe"
    """One end of a netmap pipe."""
    VALE = "vale"
    """A port of a VALE switch."""
    MEMORY = "memory"
    """Rings in ordinary memory."""


@dataclass(frozen=True, slots=True)
class Device:
    """A parsed device; `text` is what the fast path opens."""

    text: str
    kind: DeviceKind
    shape: DeviceShape
    interface: str | None = None
    """The network interface of the host; None for pipes, VALE and memory."""
    queue: int | None = None

    def __str__(self) -> str:
        return self.text

    def overlaps(self, other: "Device") -> bool:
        """Whether the two would fight for the same rings."""
        if self.interface is None or other.interface is None:
            return self.text == other.text
        if self.interface != other.interface:
            return False
        if self.kind is not other.kind:
            return True  # netmap mode and an XDP socket exclude each other on one interface
        if DeviceShape.HOST in (self.shape, other.shape):
            return self.shape is other.shape
        return self.queue is None or other.queue is None or self.queue == other.queue


_INTERFACE = r"(?P<interface>[A-Za-z0-9_][A-Za-z0-9_.]*)"
# netmap ends an interface's name at the first of `-*^{}/@`; an XDP port only at a last `-NUMBER`.
_XDP_INTERFACE = r"(?P<interface>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])??)"
_FORMS: tuple[tuple[re.Pattern[str], DeviceKind, DeviceShape], ...] = (
    (re.compile(rf"netmap:{_INTERFACE}"), DeviceKind.NETMAP, DeviceShape.WHOLE),
    (re.compile(rf"netmap:{_INTERFACE}-(?P<queue>[0-9]{{1,4}})"), DeviceKind.NETMAP, DeviceShape.QUEUE),
    (re.compile(rf"netmap:{_INTERFACE}\^"), DeviceKind.NETMAP, DeviceShape.HOST),
    (re.compile(r"netmap:[A-Za-z0-9_][A-Za-z0-9_.]*[{}][0-9]{1,5}"), DeviceKind.NETMAP, DeviceShape.PIPE),
    (re.compile(r"vale[A-Za-z0-9_]*:[A-Za-z0-9_][A-Za-z0-9_.]*"), DeviceKind.NETMAP, DeviceShape.VALE),
    (re.compile(rf"xdp:{_XDP_INTERFACE}-(?P<queue>[0-9]{{1,4}})"), DeviceKind.XDP, DeviceShape.QUEUE),
    (re.compile(rf"xdp:{_XDP_INTERFACE}"), DeviceKind.XDP, DeviceShape.WHOLE),
    (re.compile(r"memory:[A-Za-z0-9_][A-Za-z0-9_.-]*"), DeviceKind.MEMORY, DeviceShape.MEMORY),
)


def parse_device(text: str) -> Device:
    """Text to `Device`. Raises ValueError with a message for the operator."""
    if len(text.encode()) >= NAME_BYTES:
        raise ValueError(f"{text!r} is longer than {NAME_BYTES - 1} bytes; shorten it")
    for pattern, kind, shape in _FORMS:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        parts = found.groupdict()
        interface = parts.get("interface")
        if interface is not None and len(interface) > INTERFACE_BYTES:
            raise ValueError(
                f"{interface!r} is no interface name: longer than {INTERFACE_BYTES} characters; "
                "`ip link` shows the names of this host"
            )
        queue = parts.get("queue")
        return Device(text, kind, shape, interface, None if queue is None else int(queue))
    if ":" not in text:
        raise ValueError(f"{text!r} does not say which kind of port; write netmap:{text} or xdp:{text}")
    raise ValueError(f"{text!r} is not a device; use {KNOWN_FORMS}")
