# SPDX-License-Identifier: Apache-2.0
"""Routes of the configuration to a worker's next route table, and the wait until it is in use."""

import time
from collections.abc import Callable, Mapping

from appliance.config.schema import Config, Route
from appliance.daemon.counters import RouteCounter
from appliance.errors import NotAcknowledged, WorkerError
from appliance.fastpath import FrameKey, RouteTable, StateSegment
from appliance.fastpath import Route as TableRoute

# A worker takes a table at its next burst boundary, and wakes at least every 200 ms (fastpath.h).
ACKNOWLEDGE_LIMIT_S = 5.0
_PAUSE_S = 0.002


def read_port_indices(state: StateSegment) -> dict[str, int]:
    """Port name → index in the running worker, which alone knows the order it opened them in."""
    return {state.read_port_info(index).name: index for index in range(state.read_worker().port_count)}


def build_table(
    config: Config, worker: str, ports: Mapping[str, int], counters: Mapping[str, RouteCounter]
) -> RouteTable:
    """The route table of `worker`. WorkerError where it has not opened a port that a route names."""
    routes = config.routes_of(worker)
    named = {route.match.port for route in routes} | {name for route in routes for name in route.outputs}
    missing = sorted(named - ports.keys())
    if missing:
        raise WorkerError(worker, f"worker {worker}: has not opened {', '.join(missing)}; restart it")
    return RouteTable.build(_build_route(route, ports, counters[route.name].index) for route in routes)


def _build_route(route: Route, ports: Mapping[str, int], counter: int) -> TableRoute:
    match = route.match
    destination = match.group or match.destination
    assert destination is not None  # find_problems refuses a match without one
    key = FrameKey(
        port=ports[match.port],
        destination=destination,
        udp_port=match.udp_port,
        vlan=match.vlan,
        inner_vlan=match.inner_vlan,
    )
    return TableRoute.exact(key, [ports[name] for name in route.outputs], counter)


def publish_table(
    worker: str,
    state: StateSegment,
    table: RouteTable,
    generation: int,
    digest: str,
    is_alive: Callable[[], bool],
) -> None:
    """Offer a table and wait until the worker uses it. `digest` is 64 hexadecimal digits.

    Raises NotAcknowledged after ACKNOWLEDGE_LIMIT_S, WorkerError where the worker died meanwhile,
    NativeError where the table is refused; the old table then stays in use.
    """
    deadline = time.monotonic() + ACKNOWLEDGE_LIMIT_S
    offered = state.read_worker().published
    _wait(worker, state, offered, deadline, is_alive)
    state.publish(table, generation, bytes.fromhex(digest))
    _wait(worker, state, generation, deadline, is_alive)


def _wait(
    worker: str, state: StateSegment, generation: int, deadline: float, is_alive: Callable[[], bool]
) -> None:
    while (seen := state.read_worker().generation) < generation:
        if not is_alive():
            raise WorkerError(worker, f"worker {worker}: ended before it used generation {generation}")
        if time.monotonic() > deadline:
            raise NotAcknowledged(
                f"worker {worker}: still uses generation {seen}, generation {generation} was published "
                f"{ACKNOWLEDGE_LIMIT_S:.0f} s ago; look whether its CPU is taken away, then apply again"
            )
        time.sleep(_PAUSE_S)
