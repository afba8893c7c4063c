# SPDX-License-Identifier: Apache-2.0
"""Media as Prometheus metrics: RTP truth and pacing of routes, the paths of protected flows, flows without a route.

What can fall is a gauge: a loss that was made good, a stray that turned out to be a sender's new beginning. Values of
headers (SSRC, sequence, timestamp) are in `status --json` only, and so are flows without a route one by one: every
sender that was ever plugged in would be a series of its own.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from appliance.telemetry.records import Observation, ProtectedRecord

_NS_PER_S = 1e9

# Field of Observed -> help text; the metrics are appliance_route_rtp_<field>[_total], times in seconds.
RTP_COUNTERS: dict[str, str] = {
    "frames": "RTP frames of the route.",
    "other_frames": "Frames of the route without RTP.",
    "bytes": "Bytes of both, Ethernet header on, FCS off.",
    "expected_frames": "RTP frames the sequence numbers tell of.",
    "reordered_frames": "Frames behind a higher number that filled a gap.",
    "duplicated_frames": "Frames whose number was seen before.",
    "gaps": "Times at least one number was skipped.",
    "long_gaps": "Gaps longer than the 16-bit number tells.",
    "restarts": "Times the numbers began anew, same SSRC.",
    "ssrc_changes": "Changes of the SSRC.",
    "wraps": "Wraps of the 16-bit number.",
    "pictures": "Frames with the marker bit.",
    "picture_intervals": "Times from marker to marker that were measured.",
}
RTP_GAUGES: dict[str, str] = {
    "stray_frames": "Frames whose number fits nowhere, and none followed.",
    "lost_frames": "Frames missing now; one that comes late is taken back.",
    "largest_gap_frames": "Most numbers skipped at once.",
    "picture_min_ns": "Shortest time from marker to marker.",
    "picture_max_ns": "Longest time from marker to marker.",
    "picture_frames": "Frames of the newest picture.",
}
RTP_MOMENTS: dict[str, str] = {
    "first_ns": "When the first RTP frame came.",
    "last_ns": "When the newest RTP frame came.",
    "first_picture_ns": "When the first marker came.",
    "last_picture_ns": "When the newest marker came.",
}
# Of PacingCounters; appliance_route_pacing_<field>.
PACING_COUNTERS: dict[str, str] = {
    "cinst_over_frames": "Frames that found Cinst above Cmax.",
    "vrx_over_frames": "Frames that found VRX above VRXFULL.",
    "vrx_late_frames": "Frames that found VRX below 0.",
    "pictures_judged": "Pictures whose beginning was seen.",
    "pictures_skipped": "Pictures whose beginning was not seen, or that were too long.",
}
PACING_GAUGES: dict[str, str] = {
    "cinst_frames": "Cinst after the newest frame.",
    "cinst_max_frames": "Highest Cinst so far.",
    "vrx_frames": "VRX after the newest frame.",
    "vrx_max_frames": "Highest VRX so far.",
    "vrx_min_frames": "Lowest VRX so far.",
    "vrx_span_frames": "Largest range of VRX in one picture.",
}
# Of MergePathCounters; appliance_protected_path_<field>.
PATH_COUNTERS: dict[str, str] = {
    "received_frames": "Frames this path brought.",
    "forwarded_frames": "First copies.",
    "merged_frames": "Second copies, the other path was first.",
    "duplicate_frames": "Copies this path itself brought before.",
    "late_frames": "Frames whose window had passed: dropped.",
    "lost_frames": "Frames that did not come by this path within the window.",
    "outages": "Times the path was silent and came back.",
}
# Of ProtectedRecord; appliance_protected_<field>.
PROTECTED_COUNTERS: dict[str, str] = {
    "lost_frames": "Frames that came by neither path within the window.",
    "filled_frames": "Holes that were filled in time.",
    "restarts": "Times sequence and timestamp began anew.",
    "ssrc_changes": "The same with another SSRC.",
    "silences": "Times both paths were silent at once, ended by a frame.",
    "skipped_frames": "Holes given up early.",
    "differential_frames": "Frames whose path differential was measured.",
}
PROTECTED_GAUGES: dict[str, str] = {
    "stray_frames": "Frames that continue no known numbering.",
    "held_frames": "Frames held now.",
    "most_held_frames": "Most frames held so far.",
    "differential_sum_ns": "Sum of path differentials, positive where A leads.",
    "differential_min_ns": "Least path differential, positive where A leads.",
    "differential_max_ns": "Greatest path differential, positive where A leads.",
}

_Rows = Sequence[tuple[list[str], Any]]


def list_media_metrics(seen: Observation) -> Iterator[Metric]:
    """All metrics of media of one observation."""
    rtp = [([route.name], route.rtp) for route in seen.routes if route.rtp is not None]
    pacing = [([route.name], route.pacing) for route in seen.routes if route.pacing is not None]
    yield from _list_counters("appliance_route_rtp", RTP_COUNTERS, ["route"], rtp)
    yield from _list_gauges("appliance_route_rtp", RTP_GAUGES, ["route"], rtp)
    yield from _list_moments("appliance_route_rtp", RTP_MOMENTS, ["route"], rtp)
    yield _build_histogram(
        "appliance_route_rtp_arrival_seconds",
        "Time since the frame before.",
        ["route"],
        [(labels, record.arrivals) for labels, record in rtp],
        lambda bucket: (1 << (bucket + 5)) - 1 if bucket else 0,
    )
    yield from _list_counters("appliance_route_pacing", PACING_COUNTERS, ["route"], pacing)
    yield from _list_gauges("appliance_route_pacing", PACING_GAUGES, ["route"], pacing)
    yield from _list_protected(seen.protected)
    flows = GaugeMetricFamily(
        "appliance_discovered_flows", "Flows without a route listed.", labels=["worker"]
    )
    for worker in seen.workers:
        flows.add_metric([worker.name], sum(flow.worker == worker.name for flow in seen.discovered))
    yield flows
    evicted = CounterMetricFamily(
        "appliance_discovered_evicted_flows",
        "Flows without a route that made room for newer ones.",
        labels=["worker"],
    )
    for worker in seen.workers:
        evicted.add_metric([worker.name], worker.evicted_flows)
    yield evicted


def _list_protected(protected: tuple[ProtectedRecord, ...]) -> Iterator[Metric]:
    flows = [([flow.worker, flow.name], flow) for flow in protected]
    paths = [
        ([*labels, name], path) for labels, flow in flows for name, path in (("A", flow.a), ("B", flow.b))
    ]
    yield from _list_counters("appliance_protected_path", PATH_COUNTERS, ["worker", "flow", "path"], paths)
    moments = {"last_ns": "When the newest frame came by this path."}
    yield from _list_moments("appliance_protected_path", moments, ["worker", "flow", "path"], paths)
    silent = GaugeMetricFamily(
        "appliance_protected_path_silent",
        "1 where the path brought nothing for two seconds.",
        labels=["worker", "flow", "path"],
    )
    for labels, flow in flows:
        for name in "AB":
            silent.add_metric([*labels, name], float(name in flow.silent_paths))
    yield silent
    yield from _list_counters("appliance_protected", PROTECTED_COUNTERS, ["worker", "flow"], flows)
    yield from _list_gauges("appliance_protected", PROTECTED_GAUGES, ["worker", "flow"], flows)
    yield _build_histogram(
        "appliance_protected_lead_seconds",
        "Path differential of frames, by the path that brought them first.",
        ["worker", "flow", "path"],
        [
            ([*labels, name], leads)
            for labels, flow in flows
            for name, leads in (("A", flow.leads_a), ("B", flow.leads_b))
        ],
        lambda bucket: (1 << (10 + bucket)) - 1,
    )


def _list_counters(prefix: str, texts: dict[str, str], labels: list[str], rows: _Rows) -> Iterator[Metric]:
    for field, text in texts.items():
        counter = CounterMetricFamily(f"{prefix}_{field}", text, labels=labels)
        for values, record in rows:
            counter.add_metric(values, getattr(record, field))
        yield counter


def _list_gauges(prefix: str, texts: dict[str, str], labels: list[str], rows: _Rows) -> Iterator[Metric]:
    """Times in seconds; what is not known yet is left out."""
    for field, text in texts.items():
        scale = 1 / _NS_PER_S if field.endswith("_ns") else 1
        name = f"{field.removesuffix('_ns')}_seconds" if field.endswith("_ns") else field
        gauge = GaugeMetricFamily(f"{prefix}_{name}", text, labels=labels)
        for values, record in rows:
            if (value := getattr(record, field)) is not None:
                gauge.add_metric(values, value * scale)
        yield gauge


def _list_moments(prefix: str, texts: dict[str, str], labels: list[str], rows: _Rows) -> Iterator[Metric]:
    """CLOCK_MONOTONIC as seconds since 1970, as Prometheus has times; 0 ns: not yet, left out."""
    began_s = time.time() - time.monotonic()
    for field, text in texts.items():
        name = f"{prefix}_{field.removesuffix('_ns')}_timestamp_seconds"
        gauge = GaugeMetricFamily(name, text, labels=labels)
        for values, record in rows:
            if value := getattr(record, field):
                gauge.add_metric(values, began_s + value / _NS_PER_S)
        yield gauge


def _build_histogram(
    name: str,
    text: str,
    labels: list[str],
    rows: Iterable[tuple[list[str], Sequence[int]]],
    find_most_ns: Callable[[int], int],
) -> Metric:
    """Buckets that add up, as Prometheus wants them; the last holds all above. There is no sum of the times."""
    histogram = HistogramMetricFamily(name, text, labels=labels)
    for values, counts in rows:
        total, buckets = 0, []
        for bucket, count in enumerate(counts):
            total += count
            last = bucket == len(counts) - 1
            buckets.append(("+Inf" if last else repr(find_most_ns(bucket) / _NS_PER_S), total))
        histogram.add_metric(values, buckets, sum_value=None)
    return histogram
