# SPDX-License-Identifier: Apache-2.0
"""What routes ask of RTP, from the configuration to the route table: numbers kept across generations, then values.

As with counters, what a route had it keeps, so that an apply that leaves it as it was disturbs nothing.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence

from appliance.config.entries import Entry
from appliance.config.media import Pacing
from appliance.config.merges import MAX_MERGES_PER_WORKER, NS_PER_US, plan_merge
from appliance.config.schema import Route
from appliance.daemon.counters import MergeNumber, ObservedRun, RouteCounter, WorkerCounters
from appliance.fastpath import MergeConfig, PacingFormat, RouteMedia, RouteTable
from appliance.fastpath.names import MAX_RUN
from appliance.telemetry import MediaIndex, MergeIndex


def assign_media(
    previous: Mapping[str, RouteCounter],
    assigned: Mapping[str, RouteCounter],
    entries: Sequence[Entry],
    generation: int,
    now_ns: int,
) -> dict[str, RouteCounter]:
    """`assigned` with runs and merges: those of `previous` where the route asked for them then, else new ones.

    `generation` is the one they will be published as: a run or an id with it in it was never in use before. Two runs
    of one counter are told apart unless exactly MAX_RUN + 1 generations lie between them. `now_ns` is CLOCK_MONOTONIC.
    """
    routes = {entry.name: entry.route for entry in entries}
    merges = _assign_merges(previous, entries, generation, now_ns)
    known: dict[str, RouteCounter] = {}
    for name, counter in assigned.items():
        route = routes.get(name)
        observed = merge = None
        if route is not None:
            before = previous[name].observed if name in previous else None
            observed = _find_run(route, before, generation, now_ns)
            merge = merges.get(route.name) if route.protect is not None else None
        changed = (observed, merge) != (counter.observed, counter.merge)
        known[name] = (
            counter.model_copy(update={"observed": observed, "merge": merge}) if changed else counter
        )
    return known


def _find_run(route: Route, before: ObservedRun | None, generation: int, now_ns: int) -> ObservedRun | None:
    if route.observe is None:
        return None
    paced = route.observe.pacing is not None
    if before is not None:
        return before if before.paced == paced else before.model_copy(update={"paced": paced})
    return ObservedRun(run=generation % (MAX_RUN + 1), since_ns=now_ns, paced=paced)


def _assign_merges(
    previous: Mapping[str, RouteCounter], entries: Sequence[Entry], generation: int, now_ns: int
) -> dict[str, MergeNumber]:
    """Protected flow → its merge: the one it had, and for a new flow the lowest number that is free."""
    wanted = {
        entry.route.name: None
        for entry in entries
        if entry.route is not None and entry.route.protect is not None
    }
    before = {counter.merge.flow: counter.merge for counter in previous.values() if counter.merge is not None}
    kept = {flow: before[flow] for flow in wanted if flow in before}
    # One that goes away now is still in use: its number comes last.
    taken = {merge.number for merge in before.values()}
    free = [number for number in range(MAX_MERGES_PER_WORKER) if number not in taken]
    free += sorted(taken - {merge.number for merge in kept.values()})
    new = iter(free)
    assigned: dict[str, MergeNumber] = {}
    for flow in wanted:
        if flow in kept:
            assigned[flow] = kept[flow]
            continue
        number = next(new)
        merge_id = generation * MAX_MERGES_PER_WORKER + number
        assigned[flow] = MergeNumber(flow=flow, number=number, id=merge_id, since_ns=now_ns)
    return assigned


class TableMedia:
    """Merges and formats of one table, added to it as its routes name them."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table
        self._formats: dict[str, int] = {}
        self._merges: set[str] = set()

    def build(self, entry: Entry, counter: RouteCounter) -> RouteMedia | None:
        """What the entry's route asks of RTP; None: nothing."""
        route = entry.route
        if route is None or (counter.observed is None and counter.merge is None):
            return None
        if counter.merge is not None:
            self._add_merge(route, counter.merge)
        observe = route.observe if counter.observed is not None else None
        return RouteMedia(
            rtp=observe is not None,
            arrivals=observe is not None and observe.arrivals,
            pacing=None if observe is None or observe.pacing is None else self._find_format(observe.pacing),
            run=counter.observed.run if counter.observed is not None else 0,
            merge=None if counter.merge is None else counter.merge.number,
            path=entry.path or "A",
        )

    def _add_merge(self, route: Route, merge: MergeNumber) -> None:
        if route.name in self._merges:
            return
        plan = plan_merge(route)
        config = MergeConfig(
            id=merge.id,
            window_ns=plan.window_ns,
            slots=plan.slots,
            silence_ns=plan.silence_ns,
            hold_frames=plan.hold_frames,
        )
        self._table.add_merge(merge.number, config)
        self._merges.add(route.name)

    def _find_format(self, pacing: Pacing) -> int:
        shown = str(pacing)
        if shown not in self._formats:
            self._formats[shown] = self._table.add_pacing(build_pacing(pacing))
        return self._formats[shown]


def build_pacing(pacing: Pacing) -> PacingFormat:
    """As the fast path takes it. The id is of what it says, so that the models go on across generations."""
    active_lines, total_lines = pacing.lines
    return PacingFormat(
        packets=pacing.picture_packets,
        rate=pacing.picture_rate,
        active_lines=active_lines,
        total_lines=total_lines,
        sender=pacing.sender,
        id=zlib.crc32(str(pacing).encode()) or 1,
        schedule=pacing.read_schedule,
        max_udp_bytes=pacing.max_udp_bytes,
        anchor=pacing.anchor,
        troffset_ns=(pacing.troffset_us or 0) * NS_PER_US,
    )


def list_media(counters: WorkerCounters, discover: bool) -> dict[str, MediaIndex]:
    """As `collect_observation` wants it."""
    return {worker: _index(routes.items(), discover) for worker, routes in counters.items()}


def _index(routes: Iterable[tuple[str, RouteCounter]], discover: bool) -> MediaIndex:
    observed = {name: counter.observed for name, counter in routes if counter.observed is not None}
    merges = {counter.merge.flow: counter.merge for _, counter in routes if counter.merge is not None}
    return MediaIndex(
        observed=frozenset(observed),
        paced=frozenset(name for name, run in observed.items() if run.paced),
        protected={
            flow: MergeIndex(merge.number, merge.id, merge.since_ns) for flow, merge in merges.items()
        },
        discover=discover,
    )
