# SPDX-License-Identifier: Apache-2.0
"""Protected routes that release in order: ports between which buffers can be swapped, and how many buffers.

Pure, like `check_media`. Which netmap ports share memory only the kernel knows: the worker says so when it has opened
them (`daemon/publish`).
"""

from collections.abc import Iterator

from appliance.config.entries import PortNames
from appliance.config.holding import (
    BUFFER_BYTES,
    MAX_HOLD_BUFFERS,
    count_buffers,
    find_hold_bytes,
    is_own_region,
    sum_hold_frames,
)
from appliance.config.schema import Config, Route
from appliance.config.yaml_source import Location, Problem


def check_holding(config: Config, names: PortNames) -> Iterator[Problem]:
    """Problems of single routes. Nothing is held by copying (no silent second best)."""
    for index, route in enumerate(config.routes):
        if route.protect is not None and route.protect.is_ordered:
            yield from _check_region(route, names, ("routes", index))


def _check_region(route: Route, names: PortNames, here: Location) -> Iterator[Problem]:
    assert route.protect is not None
    paths = [*(route.protect.a.port or ()), *(route.protect.b.port or ())]
    ports = [*paths, *(output.port for output in route.outputs or ())]
    known = [names.ports[port] for port in ports if port in names.ports]
    first = known[0] if known else None
    for other in known[1:]:
        if first is not None and is_own_region(other) != is_own_region(first):
            yield Problem(
                (*here, "protect", "release"),
                f"in-order holds frames in their buffers, {first.name} ({first.device}) and {other.name} "
                f"({other.device}) have no common memory; use ports of one kind, or `release: first-copy`",
            )
            return


def check_hold_capacity(config: Config) -> Iterator[Problem]:
    """Whether a memory region can have so many buffers; of routes without any other problem."""
    for index, worker in enumerate(config.workers):
        if (buffers := count_buffers(sum_hold_frames(config, worker.name))) > MAX_HOLD_BUFFERS:
            seen = f"{buffers:,} buffers of {BUFFER_BYTES:,} bytes ({find_hold_bytes(buffers) / 1e6:,.0f} MB)"
            most = f"{MAX_HOLD_BUFFERS:,} ({find_hold_bytes(MAX_HOLD_BUFFERS) / 1e6:,.0f} MB)"
            yield Problem(
                ("workers", index),
                f"worker {worker.name} would hold frames of its routes that release in order in {seen}, at most "
                f"{most}; take smaller windows or add a worker",
            )
