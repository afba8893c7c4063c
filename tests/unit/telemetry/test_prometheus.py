# SPDX-License-Identifier: Apache-2.0
"""The text a Prometheus server scrapes, read back with prometheus_client's own parser."""

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from appliance.fastpath.names import DROP_LABELS
from appliance.telemetry import (
    Account,
    MembershipRecord,
    Observation,
    PortRecord,
    RouteRecord,
    WorkerRecord,
    build_registry,
    render_metrics,
)
from appliance.telemetry.prometheus import PORT_COUNTERS

NUMBERS = {field: number for number, field in enumerate(PORT_COUNTERS, 1000)}
PORT = PortRecord(
    name="red-in",
    worker="main",
    device="netmap:ens4",
    kind="netmap",
    adapter="native",
    region=1,
    rx_rings=1,
    tx_rings=1,
    rx_slots=256,
    tx_slots=256,
    buffer_bytes=2048,
    dropped_frames={label: number for number, label in enumerate(DROP_LABELS)},
    **NUMBERS,
)
WORKER = WorkerRecord(
    name="main",
    pid=42,
    alive=True,
    running=True,
    generation=7,
    published=8,
    heartbeat_age_s=0.125,
    restarts=3,
    balanced=False,
    account=Account(),
    memberships=tuple(
        MembershipRecord(interface="ens4", group=f"239.1.2.{host}", source=None, state=state)
        for host, state in enumerate(("joined", "failed", "joined"))
    ),
)
ROUTE = RouteRecord(name='camera "1"\\\n', frames=2**53, bytes=6)
SEEN = Observation(workers=(WORKER,), ports=(PORT,), routes=(ROUTE,), problems=("one", "two"))

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read_samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def samples() -> Samples:
    return read_samples(render_metrics(SEEN))


def test_every_counter_of_a_port(samples: Samples) -> None:
    labels = (("port", "red-in"), ("worker", "main"))
    for field, value in NUMBERS.items():
        assert samples[f"appliance_port_{field}_total", labels] == value
    for reason, value in PORT.dropped_frames.items():
        assert (
            samples["appliance_port_dropped_frames_total", tuple(sorted([*labels, ("reason", reason)]))]
            == value
        )


def test_a_worker(samples: Samples) -> None:
    labels = (("worker", "main"),)
    values = {
        name.removeprefix("appliance_worker_"): value
        for (name, seen), value in samples.items()
        if seen == labels and name.startswith("appliance_worker_")
    }
    assert values == {
        "alive": 1,
        "running": 1,
        "balanced": 0,
        "generation": 7,
        "published_generation": 8,
        "heartbeat_age_seconds": 0.125,
        "restarts_total": 3,
    }


def test_how_a_port_works_is_shown(samples: Samples) -> None:
    (labels,) = [dict(seen) for name, seen in samples if name == "appliance_port_info"]
    assert labels == {
        "port": "red-in",
        "worker": "main",
        "device": "netmap:ens4",
        "kind": "netmap",
        "adapter": "native",
        "region": "1",
    }


def test_memberships_by_state(samples: Samples) -> None:
    for state, count in {"joined": 2, "waiting": 0, "failed": 1}.items():
        assert samples["appliance_worker_memberships", (("state", state), ("worker", "main"))] == count


def test_routes_and_problems(samples: Samples) -> None:
    assert samples["appliance_route_frames_total", (("route", ROUTE.name),)] == 2**53
    assert samples["appliance_route_bytes_total", (("route", ROUTE.name),)] == 6
    assert samples["appliance_problems", ()] == 2


def test_counters_end_in_total_and_names_have_units() -> None:
    for family in text_string_to_metric_families(render_metrics(SEEN)):
        assert family.documentation
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)


def test_an_unreadable_worker_has_no_heartbeat() -> None:
    lost = WORKER.model_copy(update={"heartbeat_age_s": None, "alive": False})
    found = read_samples(render_metrics(Observation(workers=(lost,))))
    assert ("appliance_worker_heartbeat_age_seconds", (("worker", "main"),)) not in found
    assert found["appliance_worker_alive", (("worker", "main"),)] == 0


def test_a_registry_of_its_own_that_reads_at_every_scrape() -> None:
    looks: list[int] = []

    def observe() -> Observation:
        looks.append(1)
        return SEEN

    registry = build_registry(observe)
    assert looks == []
    registry.get_sample_value("appliance_problems")
    registry.get_sample_value("appliance_problems")
    assert len(looks) == 2
    assert REGISTRY.get_sample_value("appliance_problems") is None
