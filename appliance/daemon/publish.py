# SPDX-License-Identifier: Apache-2.0
"""Routes of the configuration to a worker's next route table, and the wait until it is in use."""

import time
from collections.abc import Callable, Mapping, Sequence

from appliance.config.entries import Entry
from appliance.config.schema import Match, Output
from appliance.daemon.counters import RouteCounter
from appliance.daemon.media import TableMedia
from appliance.errors import NotAcknowledged, WorkerError
from appliance.fastpath import Match as TableMatch
from appliance.fastpath import Output as TableOutput
from appliance.fastpath import Rewrite, RouteMedia, RouteTable, StateSegment
from appliance.fastpath import Route as TableRoute
from appliance.fastpath.names import NO_VLAN, NOT_RTP

# A worker takes a table at its next burst boundary, and wakes at least every 200 ms (fastpath.h).
ACKNOWLEDGE_LIMIT_S = 5.0
_PAUSE_S = 0.002

# What words of a match mean; a number is itself.
_WORDS: dict[str, int | None] = {"untagged": NO_VLAN, "any": None, "not_rtp": NOT_RTP}


def read_port_indices(state: StateSegment) -> dict[str, int]:
    """Port name → index in the running worker, which alone knows the order it opened them in."""
    return {state.read_port_info(index).name: index for index in range(state.read_worker().port_count)}


def build_table(
    worker: str,
    entries: Sequence[Entry],
    ports: Mapping[str, int],
    counters: Mapping[str, RouteCounter],
    discover: bool = False,
) -> RouteTable:
    """The route table of `worker`. WorkerError where it has not opened a port that an entry names."""
    named = {entry.port for entry in entries}
    named |= {output.port for entry in entries for output in entry.outputs}
    missing = sorted(named - ports.keys())
    if missing:
        raise WorkerError(worker, f"worker {worker}: has not opened {', '.join(missing)}; restart it")
    groups = number_groups(entries, counters)
    table = RouteTable(max(1, len(entries)))
    try:
        media = TableMedia(table)
        for entry in entries:
            counter = counters[entry.name]
            group = groups.get(entry.group, 0)
            table.add(build_route(entry, ports, counter.index, group, media.build(entry, counter)))
        table.set_discovery(discover)
    except BaseException:
        table.close()
        raise
    return table


def number_groups(entries: Sequence[Entry], counters: Mapping[str, RouteCounter]) -> dict[str | None, int]:
    """A number for every group of ports that learn together, from its counters and as lasting as they are."""
    groups: dict[str | None, int] = {}
    for entry in entries:
        if entry.group is not None:
            number = counters[entry.name].index + 1
            groups[entry.group] = min(groups.get(entry.group, number), number)
    return groups


def build_route(
    entry: Entry,
    ports: Mapping[str, int],
    counter: int,
    group: int = 0,
    media: RouteMedia | None = None,
) -> TableRoute:
    """An entry of the configuration as the fast path takes it. `group` 0: no addresses are learnt."""
    outputs = tuple(
        TableOutput(ports[output.port], build_rewrite(output, entry.match) if output.changes else None)
        for output in entry.outputs
    )
    mirror = (entry.route.mirror or 0) if entry.route is not None else 0
    match = build_match(entry.match, ports[entry.port])
    return TableRoute(match, outputs, counter, entry.to_host, media, group, mirror)


def build_match(match: Match | None, port: int) -> TableMatch:
    """What is compared on ingress port `port`; None: nothing but the port."""
    if match is None:
        return TableMatch(port=port)
    outer, inner = match.tags
    return TableMatch(
        port=port,
        vlan=_read_word(outer),
        inner_vlan=_read_word(inner),
        destination=match.to,
        source=match.source,
        udp_port=match.udp_port,
        udp_source=match.udp_source,
        dscp=match.dscp,
        payload_type=_read_word(match.payload_type),
        ssrc=match.ssrc,
        priority=match.priority,
    )


def _read_word(value: int | str | None) -> int | None:
    return _WORDS[value] if isinstance(value, str) else value


def build_rewrite(output: Output, match: Match | None) -> Rewrite:
    """What an output writes into its copy of frames that `match` lets in."""
    vlan = output.vlan
    return Rewrite(
        destination_mac=output.find_destination_mac(match),
        source_mac=output.source_mac,
        set_vlan=None if vlan is None else vlan.set,
        push_vlan=None if vlan is None else vlan.push,
        pop_vlan=vlan is not None and vlan.pop is True,
        source=output.source,
        destination=output.to,
        udp_source=output.udp_source,
        udp_port=output.udp_port,
        dscp=output.dscp,
        decrement_ttl=output.ttl is not None,
        payload_type=output.payload_type,
        ssrc=output.ssrc,
    )


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
