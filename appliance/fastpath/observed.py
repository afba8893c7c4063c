# SPDX-License-Identifier: Apache-2.0
"""What the loop saw of media, as values. Fields are those of the structs in fastpath.h, which say what they count."""

from dataclasses import dataclass
from typing import Any

from appliance.fastpath._native import ffi, lib
from appliance.fastpath.frames import FrameKey, read_key


@dataclass(frozen=True, slots=True)
class Observed:
    """`struct fp_observed`: RTP truth of one route (RFC 3550). Times are CLOCK_MONOTONIC."""

    frames: int
    other_frames: int
    bytes: int
    first_ns: int
    last_ns: int
    expected_frames: int
    lost_frames: int
    reordered_frames: int
    duplicated_frames: int
    stray_frames: int
    gaps: int
    largest_gap_frames: int
    long_gaps: int
    restarts: int
    ssrc_changes: int
    wraps: int
    pictures: int
    first_picture_ns: int
    last_picture_ns: int
    picture_intervals: int
    picture_min_ns: int
    picture_max_ns: int
    picture_frames: int
    ssrc: int
    sequence: int
    timestamp: int
    arrivals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PacingCounters:
    """`struct fp_pacing_counters`: Cinst and VRX of one route (ST 2110-21, 6.6)."""

    cinst_frames: int
    cinst_max_frames: int
    cinst_over_frames: int
    vrx_frames: int
    vrx_max_frames: int
    vrx_min_frames: int
    vrx_span_frames: int
    vrx_over_frames: int
    vrx_late_frames: int
    pictures_judged: int
    pictures_skipped: int


@dataclass(frozen=True, slots=True)
class MergePathCounters:
    """`struct fp_merge_path_counters`: one path of a merge (ST 2022-7)."""

    received_frames: int
    forwarded_frames: int
    merged_frames: int
    duplicate_frames: int
    late_frames: int
    lost_frames: int
    outages: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class MergeCounters:
    """`struct fp_merge_counters`: `paths` are A and B; the extremes of the differential are None before the first."""

    paths: tuple[MergePathCounters, MergePathCounters]
    lost_frames: int
    filled_frames: int
    stray_frames: int
    restarts: int
    ssrc_changes: int
    silences: int
    skipped_frames: int
    held_frames: int
    most_held_frames: int
    differential_frames: int
    differential_sum_ns: int
    differential_min_ns: int | None
    differential_max_ns: int | None
    leads_a: tuple[int, ...]
    leads_b: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Discovered:
    """`struct fp_discovered`: a flow that no route takes. Times are CLOCK_MONOTONIC."""

    key: FrameKey
    frames: int
    bytes: int
    rtp_frames: int
    first_ns: int
    last_ns: int


def read_observed(source: Any) -> Observed:
    """A `struct fp_observed` as a value."""
    arrivals = tuple(ffi.unpack(source.arrivals, lib.FP_ARRIVAL_BUCKETS))
    return Observed(arrivals=arrivals, **_read_plain(Observed, source, "arrivals"))


def read_pacing(source: Any) -> PacingCounters:
    """A `struct fp_pacing_counters` as a value."""
    return PacingCounters(**_read_plain(PacingCounters, source))


def read_merge(source: Any) -> MergeCounters:
    """A `struct fp_merge_counters` as a value."""
    path_a, path_b = (
        MergePathCounters(**_read_plain(MergePathCounters, source.paths[path]))
        for path in range(lib.FP_MERGE_PATHS)
    )
    values = _read_plain(MergeCounters, source, "paths", "leads_a", "leads_b")
    if not source.differential_frames:
        values |= {"differential_min_ns": None, "differential_max_ns": None}
    return MergeCounters(
        paths=(path_a, path_b),
        leads_a=tuple(ffi.unpack(source.leads_a, lib.FP_MERGE_BINS)),
        leads_b=tuple(ffi.unpack(source.leads_b, lib.FP_MERGE_BINS)),
        **values,
    )


def read_discovered(source: Any) -> Discovered:
    """A `struct fp_discovered` as a value."""
    return Discovered(key=read_key(source.key), **_read_plain(Discovered, source, "key"))


def _read_plain(record: Any, source: Any, *others: str) -> dict[str, Any]:
    return {field: getattr(source, field) for field in record.__slots__ if field not in others}
