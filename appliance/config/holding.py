# SPDX-License-Identifier: Apache-2.0
"""Buffers for frames that wait for their turn, of protected routes with `release: in-order`. Pure.

Constants of native/ are repeated, because `check` may not import it; tests/contract/test_media_contract.py compares.
"""

from collections.abc import Iterable

from appliance.config.merges import plan_merge
from appliance.config.schema import Config, DeviceKind, Port, Route

# What a worker opens for xdp: and memory: ports, and netmap's default. Holds the largest frame of ST 2110-10
# (1,500-byte IP datagrams) with two tags; a page holds two.
BUFFER_BYTES = 2048
# Of native/include/fastpath.h.
MAX_HOLD_BUFFERS = 8_388_608
SPARE_FRAMES = 1024
# sizeof(struct fp_hold_place), native/src/hold.h.
_PLACE_BYTES = 32

_BYTES_PER_MB = 1_000_000


def count_buffers(frames: int) -> int:
    """Buffers of one memory region whose merges hold so many frames: some more, for those of a turn of the loop."""
    return frames + SPARE_FRAMES if frames else 0


def find_hold_bytes(buffers: int) -> int:
    """Memory of so many buffers."""
    return buffers * (BUFFER_BYTES + _PLACE_BYTES)


def render_hold(frames: int) -> str:
    """`64,812 frames, 136.9 MB of buffers`."""
    return f"{frames:,} frames, {find_hold_bytes(count_buffers(frames)) / _BYTES_PER_MB:,.1f} MB of buffers"


def plan_hold_frames(routes: Iterable[Route]) -> dict[str, int]:
    """Port → frames merges hold of flows whose path A it brings. All ports of a flow are of one memory region."""
    frames: dict[str, int] = {}
    for route in routes:
        if route.protect is not None and route.protect.is_ordered and route.protect.a.port is not None:
            port = route.protect.a.port[0]
            frames[port] = frames.get(port, 0) + plan_merge(route).hold_frames
    return frames


def sum_hold_frames(config: Config, worker: str) -> int:
    """Frames all merges of a worker hold at most."""
    ports = {port.name for port in config.ports_of(worker)}
    return sum(frames for port, frames in plan_hold_frames(config.routes).items() if port in ports)


def is_own_region(port: Port) -> bool:
    """Whether the port's buffers are of the worker's own region: xdp: and memory:. netmap's are the kernel's."""
    return port.device.kind is not DeviceKind.NETMAP
