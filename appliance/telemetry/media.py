# SPDX-License-Identifier: Apache-2.0
"""Media of a state segment as records: RTP truth and pacing of routes, merges, flows without a route."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from appliance.fastpath import Discovered, MergeCounters, NativeError, StateSegment, names
from appliance.telemetry.records import DiscoveredRecord, ProtectedRecord, RouteRecord

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """What a worker's table asks of RTP, as who built it knows.

    `observed` and `paced` name routes; `protected` maps a protected flow to number and id of its merge.
    """

    observed: frozenset[str] = frozenset()
    paced: frozenset[str] = frozenset()
    protected: Mapping[str, tuple[int, int]] = field(default_factory=dict)


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
    for name, (number, merge_id) in media.protected.items():
        known = _read_known(state.read_merge, number)
        if known is not None and known[0] == merge_id:
            records.append(_build_protected(name, worker, known[1]))
    return tuple(records)


def read_discovered(
    state: StateSegment, worker: str, port_names: tuple[str, ...]
) -> tuple[DiscoveredRecord, ...]:
    """Flows without a route, the newest first. `port_names` are the worker's, in the order of their indices."""
    return tuple(_build_discovered(flow, worker, port_names) for flow in state.read_discovered())


def _read_known(read: Callable[[int], _Value], index: int) -> _Value | None:
    """None where the worker does not know `index` yet."""
    try:
        return read(index)
    except NativeError as error:
        if error.code == names.E_INVALID:
            return None
        raise


def _build_protected(name: str, worker: str, merge: MergeCounters) -> ProtectedRecord:
    counted = {field: getattr(merge, field) for field in merge.__slots__ if field != "paths"}
    return ProtectedRecord(name=name, worker=worker, a=merge.paths[0], b=merge.paths[1], **counted)


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
