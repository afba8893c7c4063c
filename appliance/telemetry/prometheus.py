# SPDX-License-Identifier: Apache-2.0
"""Observations as Prometheus metrics: units in the names, `_total` on counters, no global registry."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.telemetry.prometheus_media import list_media_metrics
from appliance.telemetry.records import MEMBERSHIP_STATES, Observation, PortRecord, WorkerRecord

# Field of PortRecord -> help text; the metric is appliance_port_<field>_total.
PORT_COUNTERS: dict[str, str] = {
    "received_frames": "Frames taken from the RX rings.",
    "received_bytes": "Bytes of these frames, Ethernet header on, FCS off.",
    "forwarded_frames": "Received frames taken by at least one output.",
    "merged_frames": "Received frames consumed by an ST 2022-7 merge.",
    "to_host_frames": "Received frames given to the host stack.",
    "missed_frames": "Frames lost before the RX ring, which was full; not in received.",
    "passed_to_host_frames": "Frames left to the host stack by the XDP program; not in received.",
    "offered_frames": "Copies routes wanted to send here.",
    "transmitted_frames": "Copies put into a TX ring.",
    "transmitted_bytes": "Bytes of these copies.",
    "tx_full_frames": "Copies that found no free TX slot.",
    "tx_too_long_frames": "Copies longer than the port's buffer.",
    "swapped_frames": "Transmitted by buffer swap, without a copy.",
    "copied_frames": "Transmitted by copy.",
    "bursts": "RX bursts with at least one frame.",
    "sync_errors": "Failed syncs of the port.",
    "outages": "Times the port could move no frames any more.",
    "reopened": "Times the worker opened the port again.",
    "unconfirmed_frames": "Transmitted copies that were in a TX ring when the port was given up.",
}
# Field of PortRecord -> help text; the metric is appliance_port_<field>.
PORT_GAUGES: dict[str, str] = {
    "held_frames": "Received frames that wait for their turn now.",
    "hold_buffers": "Buffers of the port's memory region for such frames.",
    "hold_bytes": "Memory these buffers take.",
}
# Name after appliance_worker_ -> field of WorkerRecord, help text.
WORKER_GAUGES: dict[str, tuple[str, str]] = {
    "alive": ("alive", "1 while the process lives."),
    "running": ("running", "1 between the loop's start and its end."),
    "balanced": ("balanced", "1 where every frame is accounted for."),
    "generation": ("generation", "Generation of the route table in use."),
    "published_generation": ("published", "Generation of the route table offered last."),
    "heartbeat_age_seconds": ("heartbeat_age_s", "Time since the loop's last heartbeat."),
}
_PORT_LABELS = ("worker", "port")


class ObservationCollector(Collector):
    """Reads anew at every scrape."""

    def __init__(self, observe: Callable[[], Observation]) -> None:
        self._observe = observe

    def describe(self) -> Iterable[Metric]:
        """No metric before the first scrape: registering must not read."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics of one observation."""
        seen = self._observe()
        yield from _worker_metrics(seen.workers)
        yield from _port_metrics(seen.ports)
        yield from _route_metrics(seen)
        yield from list_media_metrics(seen)
        yield GaugeMetricFamily(
            "appliance_problems", "Problems `appliance status` lists.", len(seen.problems)
        )


def build_registry(observe: Callable[[], Observation]) -> CollectorRegistry:
    """A registry of its own that calls `observe` at every scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ObservationCollector(observe))
    return registry


def render_metrics(observation: Observation) -> str:
    """One observation in the Prometheus text format (version 0.0.4)."""
    return generate_latest(build_registry(lambda: observation)).decode()


def _worker_metrics(workers: tuple[WorkerRecord, ...]) -> Iterator[Metric]:
    for name, (field, text) in WORKER_GAUGES.items():
        gauge = GaugeMetricFamily(f"appliance_worker_{name}", text, labels=["worker"])
        for worker in workers:
            if (value := getattr(worker, field)) is not None:
                gauge.add_metric([worker.name], float(value))
        yield gauge
    restarts = CounterMetricFamily("appliance_worker_restarts", "Restarts by the daemon.", labels=["worker"])
    for worker in workers:
        restarts.add_metric([worker.name], worker.restarts)
    yield restarts
    memberships = GaugeMetricFamily(
        "appliance_worker_memberships",
        "Multicast groups its routes need, by whether they are joined.",
        labels=["worker", "state"],
    )
    for worker in workers:
        for state in MEMBERSHIP_STATES:
            count = sum(record.state == state for record in worker.memberships)
            memberships.add_metric([worker.name, state], count)
    yield memberships


def _port_metrics(ports: tuple[PortRecord, ...]) -> Iterator[Metric]:
    for field, text in PORT_COUNTERS.items():
        counter = CounterMetricFamily(f"appliance_port_{field}", text, labels=_PORT_LABELS)
        for port in ports:
            counter.add_metric([port.worker, port.name], getattr(port, field))
        yield counter
    for field, text in PORT_GAUGES.items():
        gauge = GaugeMetricFamily(f"appliance_port_{field}", text, labels=_PORT_LABELS)
        for port in ports:
            gauge.add_metric([port.worker, port.name], getattr(port, field))
        yield gauge
    dropped = CounterMetricFamily(
        "appliance_port_dropped_frames",
        "Received frames dropped by decision.",
        labels=[*_PORT_LABELS, "reason"],
    )
    info = InfoMetricFamily("appliance_port", "How the port works.", labels=_PORT_LABELS)
    for port in ports:
        for reason, frames in port.dropped_frames.items():
            dropped.add_metric([port.worker, port.name, reason], frames)
        details = {
            "device": port.device,
            "kind": port.kind,
            "adapter": port.adapter,
            "region": str(port.region),
        }
        info.add_metric([port.worker, port.name], details)
    up = GaugeMetricFamily("appliance_port_up", "1 while the port can move frames.", labels=_PORT_LABELS)
    for port in ports:
        up.add_metric([port.worker, port.name], float(port.state == "up"))
    yield dropped
    yield info
    yield up


def _route_metrics(seen: Observation) -> Iterator[Metric]:
    frames = CounterMetricFamily("appliance_route_frames", "Frames the route matched.", labels=["route"])
    octets = CounterMetricFamily("appliance_route_bytes", "Bytes the route matched.", labels=["route"])
    for route in seen.routes:
        frames.add_metric([route.name], route.frames)
        octets.add_metric([route.name], route.bytes)
    yield frames
    yield octets
