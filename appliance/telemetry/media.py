# SPDX-License-Identifier: Apache-2.0
"""Media of a state segment as records: RTP truth and pacing of routes, merges, flows without a route."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from appliance.fastpath import Discovered, MergeCounters, MergePathCounters, NativeError, StateSegment, names
from appliance.telemetry.moments import render_monotonic
from appliance.telemetry.records import DiscoveredRecord, ProtectedRecord, RouteRecord

_Value = TypeVar("_Value")


# More than the longest window (fp_merge_config.window_ns): what one path brought the other may still bring.
PATH_SILENT_NS = 2_000_000_000


class MergeIndex(NamedTuple):
    """Which merge of a worker is a flow's: number and id, and since when (CLOCK_MONOTONIC)."""

    number: int
    id: int
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """What a worker's table asks of RTP, as who built it knows.

    `observed` and `paced` name routes; `protected` maps a protected flow to its merge; `discover`: flows without a
    route are listed.
    """

    observed: frozenset[str] = frozenset()
    paced: frozenset[str] = frozenset()
    protected: Mapping[str, MergeIndex] = field(default_factory=dict)
    discover: bool = False


NO_MEDIA = MediaIndex()


def read_route(state: StateSegment, name: str, counter: int, media: MediaIndex) -> RouteRecord:
    """A route's counters, and what was observed of it."""
    counters = state.read_route(counter)
    rtp = _read_known(state.read_observed, counter) if name in media.observed else None
    pacing = _read_known(state.read_pacing, counter) if name in media.paced else None
    return RouteRecord(name=name, frames=counters.frames, bytes=counters.bytes, rtp=rtp, pacing=pacing)


def read_protected(state: StateSegment, worker: str, media: MediaIndex) -> tuple[ProtectedRecord, ...]:
    """Protected flows whose merge has counters: those of an earlier flow with the same number are left out."""
    records = []
    now_ns = time.monotonic_ns()
    for name, index in media.protected.items():
        known = _read_known(state.read_merge, index.number)
        if known is not None and known[0] == index.id:
            silent = find_silent(known[1].paths, index.since_ns, now_ns)
            records.append(_build_protected(name, worker, known[1], silent, index.since_ns))
    return tuple(records)


def find_silent(
    paths: tuple[MergePathCounters, MergePathCounters], since_ns: int, now_ns: int
) -> tuple[str, ...]:
    """Which of "A" and "B" brought nothing for longer than any window. Of a path that never did, `since_ns` counts.

    Paths are compared with each other while one of them brings frames, so that counters some time old say the same.
    """
    last = {name: path.last_ns or since_ns for name, path in zip("AB", paths, strict=True)}
    newest_ns = max(last.values())
    if now_ns - newest_ns > PATH_SILENT_NS:
        newest_ns = now_ns
    return tuple(name for name, last_ns in last.items() if newest_ns - last_ns > PATH_SILENT_NS)


def list_silent_problems(flows: tuple[ProtectedRecord, ...]) -> tuple[str, ...]:
    """A protected flow with one path: it goes on, and the next fault ends it. With none its sender is off."""
    problems = []
    for flow in flows:
        if len(flow.silent_paths) != 1:
            continue
        (path,) = flow.silent_paths
        other = "B" if path == "A" else "A"
        last_ns = (flow.a if path == "A" else flow.b).last_ns
        since = (
            render_monotonic(last_ns)
            if last_ns
            else f"{render_monotonic(flow.since_ns)}, when it was configured"
        )
        problems.append(
            f"path {path} of flow {flow.name} has sent nothing since {since}; the flow lives by path {other} alone: "
            f"look at the sender, the network and the memberships of path {path}"
        )
    return tuple(problems)


def read_discovered(
    state: StateSegment, worker: str, port_names: tuple[str, ...], media: MediaIndex
) -> tuple[DiscoveredRecord, ...]:
    """Flows without a route, the newest first. `port_names` are the worker's, in the order of their indices."""
    if not media.discover:
        return ()  # what is there is of an earlier table
    return tuple(_build_discovered(flow, worker, port_names) for flow in state.read_discovered())


def _read_known(read: Callable[[int], _Value], index: int) -> _Value | None:
    """None where the worker does not know `index` yet."""
    try:
        return read(index)
    except NativeError as error:
        if error.code == names.E_INVALID:
            return None
        raise


def _build_protected(
    name: str, worker: str, merge: MergeCounters, silent: tuple[str, ...], since_ns: int
) -> ProtectedRecord:
    counted = {field: getattr(merge, field) for field in merge.__slots__ if field != "paths"}
    a, b = merge.paths
    return ProtectedRecord(
        name=name, worker=worker, silent_paths=silent, since_ns=since_ns, a=a, b=b, **counted
    )


def _build_discovered(flow: Discovered, worker: str, port_names: tuple[str, ...]) -> DiscoveredRecord:
    key = flow.key
    return DiscoveredRecord(
        worker=worker,
        port=port_names[key.port] if key.port < len(port_names) else str(key.port),
        vlan=key.vlan,
        inner_vlan=key.inner_vlan,
        source=str(key.source),
        udp_source=key.udp_source,
        destination=str(key.destination),
        udp_port=key.udp_port,
        dscp=key.dscp,
        payload_type=key.payload_type,
        ssrc=key.ssrc,
        frames=flow.frames,
        bytes=flow.bytes,
        rtp_frames=flow.rtp_frames,
        first_ns=flow.first_ns,
        last_ns=flow.last_ns,
    )
