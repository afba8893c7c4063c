# SPDX-License-Identifier: Apache-2.0
"""How large a region the xdp: and memory: ports of a worker need, from their spec and the host's queues."""

from dataclasses import dataclass
from pathlib import Path

from appliance.config.schema import Device, DeviceKind
from appliance.config.worker_spec import PortSpec, WorkerSpec

# The fast path's own default where ring_slots is 0 (fastpath.h, struct fp_port_config).
DEFAULT_RING_SLOTS = 4096
# Every RX slot and every TX slot holds a buffer.
RINGS_PER_QUEUE = 2
# A page holds two. Larger ones would let jumbo frames in, which ST 2110-10 does not use (MTU 1500).
BUFFER_BYTES = 2048


@dataclass(frozen=True, slots=True)
class BufferPlan:
    """Size of the region: `buffer_count` buffers of `buffer_bytes`."""

    buffer_count: int
    buffer_bytes: int


def plan_buffers(spec: WorkerSpec) -> BufferPlan | None:
    """The region a worker needs, or None where no port uses one."""
    count = sum(count_buffers(port) for port in spec.ports if port.device.kind is not DeviceKind.NETMAP)
    return BufferPlan(count, BUFFER_BYTES) if count else None


def count_buffers(port: PortSpec) -> int:
    """Buffers for every slot of every ring of one port."""
    return RINGS_PER_QUEUE * (port.ring_slots or DEFAULT_RING_SLOTS) * read_queue_count(port.device)


def read_queue_count(device: Device) -> int:
    """Queues the port opens: those of the interface where the device names no single one."""
    if device.interface is None or device.queue is not None:
        return 1
    folder = Path("/sys/class/net") / device.interface / "queues"
    receive, transmit = (len(list(folder.glob(f"{way}-*"))) for way in ("rx", "tx"))
    return max(1, receive, transmit)
