# SPDX-License-Identifier: Apache-2.0
"""Protected flows: which path is silent, and what is told of it; media as Prometheus metrics, read back."""

import re
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.fastpath import MergePathCounters, Observed, PacingCounters
from appliance.telemetry import Observation, ProtectedRecord, RouteRecord, WorkerRecord, render_metrics
from appliance.telemetry import prometheus_media as metrics
from appliance.telemetry.account import sum_accounts
from appliance.telemetry.media import PATH_SILENT_NS, find_silent, list_silent_problems
from appliance.telemetry.moments import render_monotonic

S = 1_000_000_000
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def number_fields(record: Any, first: int) -> dict[str, int]:
    """Another value for each field."""
    return {field: first + place for place, field in enumerate(record.__slots__)}


def build_path(**fields: int) -> MergePathCounters:
    return MergePathCounters(**(number_fields(MergePathCounters, 100) | fields))


@pytest.mark.parametrize(
    ("last_a_ns", "last_b_ns", "now_ns", "silent"),
    [
        (100 * S, 100 * S, 100 * S, ()),
        (100 * S, 98 * S, 100 * S, ()),
        (100 * S, 98 * S - 1, 100 * S, ("B",)),
        (97 * S, 100 * S, 101 * S, ("A",)),
        # Counters that are some tenths of a second old say the same.
        (100 * S, 98 * S, 101 * S, ()),
        # No path brings frames: the sender is off.
        (100 * S, 100 * S, 103 * S, ("A", "B")),
        # Never a frame: since 50 s.
        (0, 0, 51 * S, ()),
        (0, 0, 53 * S, ("A", "B")),
        (51 * S, 0, 51 * S, ()),
        (53 * S, 0, 53 * S, ("B",)),
    ],
)
def test_silent(last_a_ns: int, last_b_ns: int, now_ns: int, silent: tuple[str, ...]) -> None:
    paths = (build_path(last_ns=last_a_ns), build_path(last_ns=last_b_ns))
    assert find_silent(paths, 50 * S, now_ns) == silent


def test_a_window_is_shorter_than_a_silence() -> None:
    assert PATH_SILENT_NS > 2**30  # fp_merge_config.window_ns


def build_flow(silent: tuple[str, ...], last_b_ns: int = 7 * S) -> ProtectedRecord:
    fields: dict[str, Any] = {
        field: 1000 + place for place, field in enumerate(sorted(set(ProtectedRecord.model_fields)))
    }
    fields |= {"name": "camera-1", "worker": "main", "silent_paths": silent, "since_ns": 3 * S}
    fields |= {"a": build_path(), "b": build_path(last_ns=last_b_ns)}
    return ProtectedRecord.model_validate(fields | {"leads_a": (1, 2, 3), "leads_b": (0, 5, 0)})


def test_a_silent_path_is_named() -> None:
    (problem,) = list_silent_problems((build_flow(("B",)), build_flow(())))
    assert problem == (
        f"path B of flow camera-1 has sent nothing since {render_monotonic(7 * S)}; the flow lives by path A alone: "
        "look at the sender, the network and the memberships of path B"
    )
    (problem,) = list_silent_problems((build_flow(("B",), last_b_ns=0),))
    assert (
        f"has sent nothing since {render_monotonic(3 * S)}, when it was configured; the flow lives" in problem
    )


def test_a_sender_that_is_off_is_no_problem() -> None:
    assert list_silent_problems((build_flow(("A", "B")),)) == ()


def test_moments_are_told_by_the_clock_on_the_wall() -> None:
    shown = render_monotonic(time.monotonic_ns())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", shown)
    wall = {time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() - ago)) for ago in (0, 1)}
    assert shown in wall


RTP = Observed(**(number_fields(Observed, 10) | {"arrivals": tuple(range(24)), "first_ns": 0}))  # type: ignore[arg-type]
PACING = PacingCounters(**number_fields(PacingCounters, 500))
ROUTE = RouteRecord(name="camera-1 path A", frames=1, bytes=2, rtp=RTP, pacing=PACING)
WORKER = WorkerRecord(
    name="main", pid=1, alive=True, running=True, generation=1, published=1, heartbeat_age_s=0.0, restarts=0,
    balanced=True, account=sum_accounts(()), evicted_flows=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def samples() -> Samples:
    plain = RouteRecord(name="plain", frames=1, bytes=2)
    seen = Observation(workers=(WORKER,), routes=(ROUTE, plain), protected=(build_flow(("B",)),))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(render_metrics(seen))
        for sample in family.samples
    }


ROUTE_LABELS = (("route", "camera-1 path A"),)
FLOW_LABELS = (("flow", "camera-1"), ("worker", "main"))


def path_labels(path: str) -> tuple[tuple[str, str], ...]:
    return (("flow", "camera-1"), ("path", path), ("worker", "main"))


@pytest.mark.parametrize(
    ("prefix", "counters", "gauges", "record", "labels"),
    [
        ("route_rtp", metrics.RTP_COUNTERS, metrics.RTP_GAUGES, RTP, ROUTE_LABELS),
        ("route_pacing", metrics.PACING_COUNTERS, metrics.PACING_GAUGES, PACING, ROUTE_LABELS),
        ("protected_path", metrics.PATH_COUNTERS, {}, build_path(), path_labels("A")),
        ("protected", metrics.PROTECTED_COUNTERS, metrics.PROTECTED_GAUGES, build_flow(("B",)), FLOW_LABELS),
    ],
)
def test_every_counter(
    samples: Samples,
    prefix: str,
    counters: dict[str, str],
    gauges: dict[str, str],
    record: Any,
    labels: tuple[tuple[str, str], ...],
) -> None:
    for field in counters:
        assert samples[f"appliance_{prefix}_{field}_total", labels] == getattr(record, field)
    for field in gauges:
        value = getattr(record, field)
        if field.endswith("_ns"):
            name = f"{field.removesuffix('_ns')}_seconds"
            assert samples[f"appliance_{prefix}_{name}", labels] == pytest.approx(value / 1e9)
        else:
            assert samples[f"appliance_{prefix}_{field}", labels] == value


def test_times_are_seconds_since_1970(samples: Samples) -> None:
    seen = samples["appliance_route_rtp_last_timestamp_seconds", ROUTE_LABELS]
    assert seen == pytest.approx(time.time() - time.monotonic() + RTP.last_ns / 1e9, abs=5)
    assert ("appliance_route_rtp_first_timestamp_seconds", ROUTE_LABELS) not in samples  # not yet


def test_histograms_add_up(samples: Samples) -> None:
    name = "appliance_route_rtp_arrival_seconds_bucket"
    arrivals = {dict(labels)["le"]: value for (seen, labels), value in samples.items() if seen == name}
    assert arrivals["+Inf"] == sum(range(24))
    assert arrivals["0.0"] == 0
    assert arrivals["6.3e-08"] == 1  # none, and 1 to 63 ns
    assert arrivals["1.27e-07"] == 1 + 2
    name = "appliance_protected_lead_seconds_bucket"
    leads = {labels: value for (seen, labels), value in samples.items() if seen == name}
    assert {
        dict(labels)["path"]: value for labels, value in leads.items() if ("le", "1.023e-06") in labels
    } == {
        "A": 1,
        "B": 0,
    }
    assert {dict(labels)["path"]: value for labels, value in leads.items() if ("le", "+Inf") in labels} == {
        "A": 6,
        "B": 5,
    }


def test_which_path_is_silent(samples: Samples) -> None:
    assert [samples["appliance_protected_path_silent", path_labels(path)] for path in "AB"] == [0, 1]
    assert samples["appliance_discovered_flows", (("worker", "main"),)] == 0
    assert samples["appliance_discovered_evicted_flows_total", (("worker", "main"),)] == 12


def test_a_route_that_is_not_observed_has_no_metrics_of_media(samples: Samples) -> None:
    plain = {name for name, labels in samples if ("route", "plain") in labels}
    assert plain == {"appliance_route_frames_total", "appliance_route_bytes_total"}
