# SPDX-License-Identifier: Apache-2.0
"""Whether the ports of routes that release in order share memory: only an opened port says which is its."""

from collections.abc import Mapping, Sequence

from appliance.config.entries import Entry
from appliance.errors import WorkerError
from appliance.fastpath import PortInfo, StateSegment


def read_regions(state: StateSegment) -> dict[str, PortInfo]:
    """Port name → how it works, `region` included."""
    infos = (state.read_port_info(index) for index in range(state.read_worker().port_count))
    return {info.name: info for info in infos}


def check_held_regions(worker: str, entries: Sequence[Entry], ports: Mapping[str, PortInfo]) -> None:
    """WorkerError where a frame could be held, or leave, by copying only. The fast path would refuse the table, too."""
    for entry in entries:
        route = entry.route
        if route is None or route.protect is None or not route.protect.is_ordered:
            continue
        first = (route.protect.a.port or [entry.port])[0]
        for name in (entry.port, *(output.port for output in entry.outputs)):
            if first in ports and name in ports and ports[name].region != ports[first].region:
                raise WorkerError(
                    worker,
                    f"route {route.name}: in-order holds frames in their buffers, but {first} (memory region "
                    f"{ports[first].region}) and {name} (region {ports[name].region}) share no memory; take ports "
                    "that `appliance status --json` lists in each other's swaps_with, or `release: first-copy`",
                )
