# SPDX-License-Identifier: Apache-2.0
"""Plans: the smallest list of actions, and which of them lose frames."""

import pytest

from appliance.config.load import parse_config
from appliance.config.plan import build_specs, find_restarts, plan_changes
from appliance.config.schema import Config

BASE = """\
version: 1
workers:
  - {name: one}
  - {name: two, cpu: 1}
ports:
  - {name: a, device: "memory:a", worker: one}
  - {name: b, device: "memory:b", worker: one}
  - {name: c, device: "memory:c", worker: two}
  - {name: d, device: "memory:d", worker: two}
routes:
  - name: r1
    match: {port: a, group: 239.1.2.1, udp_port: 6000}
    outputs: [b]
  - name: r2
    match: {port: c, vlan: 100, group: "ff3e::1", udp_port: 6000}
    outputs: [d]
"""


def build(text: str = BASE) -> Config:
    return parse_config(text, "c.yaml").config


def describe(before: Config | None, after: Config) -> list[str]:
    return [str(action) for action in plan_changes(before, after)]


def test_from_nothing() -> None:
    assert describe(None, build()) == [
        "start worker one: ports memory:a, memory:b",
        "start worker two: ports memory:c, memory:d",
        "add route r1: a 239.1.2.1:6000 → b",
        "add route r2: c vlan 100 [ff3e::1]:6000 → d",
    ]
    assert find_restarts(plan_changes(None, build())) == []


def test_the_same_is_nothing() -> None:
    assert describe(build(), build()) == []


def test_joining_or_not_restarts_nothing() -> None:
    off = build(BASE.replace('"memory:a", worker: one}', '"memory:a", worker: one, membership: "off"}'))
    assert describe(build(), off) == ["change membership a: auto → off"]
    assert find_restarts(plan_changes(build(), off)) == []


def test_written_otherwise_is_nothing() -> None:
    explicit = BASE.replace("{name: one}", "{name: one, wait: adaptive}")
    a, b = (
        '  - {name: a, device: "memory:a", worker: one}\n',
        '  - {name: b, device: "memory:b", worker: one}\n',
    )
    assert describe(build(), build(explicit.replace(a + b, b + a))) == []


@pytest.mark.parametrize(
    ("old", "new", "actions", "restarts"),
    [
        (
            "239.1.2.1",
            "239.1.2.9",
            ["change route r1: a 239.1.2.1:6000 → b becomes a 239.1.2.9:6000 → b"],
            [],
        ),
        (
            "name: r1",
            "name: r9",
            ["remove route r1: a 239.1.2.1:6000 → b", "add route r9: a 239.1.2.1:6000 → b"],
            [],
        ),
        ("cpu: 1", "cpu: 0", ["restart worker two: cpu 1 → 0"], ["two"]),
        ("cpu: 1", "wait: busy", ["restart worker two: cpu 1 → default, wait adaptive → busy"], ["two"]),
        ("memory:b", "memory:x", ["restart worker one: port b device memory:b → memory:x"], ["one"]),
        (
            '"memory:b", worker: one',
            '"memory:b", worker: one, ring_slots: 64',
            ["restart worker one: port b ring_slots default → 64"],
            ["one"],
        ),
    ],
)
def test_one_change(old: str, new: str, actions: list[str], restarts: list[str]) -> None:
    plan = plan_changes(build(), build(BASE.replace(old, new, 1)))
    assert [str(action) for action in plan] == actions
    assert [action.subject for action in find_restarts(plan)] == restarts


def test_only_the_worker_concerned_restarts() -> None:
    without_two = BASE.replace("  - {name: two, cpu: 1}\n", "")
    for line in (
        '  - {name: c, device: "memory:c", worker: two}\n',
        '  - {name: d, device: "memory:d", worker: two}\n',
    ):
        without_two = without_two.replace(line, "")
    without_two = without_two[: without_two.index("  - name: r2")]
    assert describe(build(), build(without_two)) == [
        "stop worker two: no longer in the configuration",
        "remove route r2: c vlan 100 [ff3e::1]:6000 → d",
    ]
    back = plan_changes(build(without_two), build())
    assert str(back[0]) == "start worker two: ports memory:c, memory:d"
    assert find_restarts(back) == []


def test_what_runs_counts_not_what_was_written() -> None:
    running = build_specs(build(BASE.replace("cpu: 1", "cpu: 3")))
    assert [str(action) for action in plan_changes(build(), build(), running)] == [
        "restart worker two: cpu 3 → 1"
    ]
    del running["two"]
    assert [str(action) for action in plan_changes(build(), build(), running)] == [
        "start worker two: ports memory:c, memory:d"
    ]


FLOWS = BASE.replace('"memory:a", worker: one', '"memory:a", worker: one, default: [b]').replace(
    "routes:\n",
    "cross_connects:\n  - {name: office, ports: [c, d]}\n"
    "routes:\n"
    "  - {name: noise, match: {port: a, destination: 192.0.2.255}, drop: true}\n"
    "  - name: nat\n"
    "    match: {port: a, vlan: 7, group: 239.1.0.0/16, source: 192.0.2.1, ssrc: 0x10, priority: 3}\n"
    "    outputs: [{port: b, group: 239.2.2.2, vlan: pop, destination_mac: 02-00-00-00-00-01, ttl: decrement}]\n",
)


def test_everything_that_moves_frames_is_told() -> None:
    assert describe(build(), build(FLOWS)) == [
        "add route office: cross-connect c ↔ d",
        "add route noise: a 192.0.2.255 → drop",
        "add route nat: a vlan 7 239.1.0.0/16 from 192.0.2.1 ssrc 0x00000010 priority 3 → "
        "b (destination_mac 02:00:00:00:00:01, vlan pop, group 239.2.2.2, ttl decrement)",
        "add route a default: a everything else → b",
    ]
    assert describe(build(FLOWS), build(FLOWS.replace("default: [b]", "default: r1"))) == [
        "change route a default: a everything else → b becomes a everything else → route r1"
    ]
    assert describe(build(FLOWS), build(FLOWS.replace("drop: true", "outputs: [b]"))) == [
        "change route noise: a 192.0.2.255 → drop becomes a 192.0.2.255 → b"
    ]
    assert find_restarts(plan_changes(build(), build(FLOWS))) == []


def test_the_same_written_otherwise_is_nothing_to_do() -> None:
    otherwise = FLOWS.replace("vlan: pop", "vlan: {pop: true}").replace("ssrc: 0x10", "ssrc: 16")
    otherwise = otherwise.replace("02-00-00-00-00-01", "02:00:00:00:00:01").replace(
        "port: a, vlan: 7", "port: [a], vlan: 7"
    )
    assert describe(build(FLOWS), build(otherwise)) == []
