# SPDX-License-Identifier: Apache-2.0
"""From routes to the rules of a NIC: what is derived, and what is refused."""

from pathlib import Path

import pytest

from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.config.steering import list_flow_rules, load_rules, render_rules
from appliance.errors import ConfigError

HEAD = """\
version: 1
workers: [{name: one}, {name: two}]
ports:
  - {name: in-0, device: "netmap:ens4-0", worker: one, steer: ntuple}
  - {name: in-1, device: "netmap:ens4-1", worker: two, steer: ntuple}
  - {name: out-0, device: "netmap:ens5-0", worker: one}
  - {name: out-1, device: "netmap:ens5-1", worker: two}
routes:
"""


def list_rules(*routes: str) -> dict[str, list[str]]:
    config = parse_config(HEAD + "".join(f"  - {route}\n" for route in routes), "c.yaml").config
    tables = resolve_tables(config)
    return {
        name: [str(rule) for rule in list_flow_rules(config, tables.entries[name])] for name in ("one", "two")
    }


def refuse(*routes: str, head: str = HEAD) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_config(head + "".join(f"  - {route}\n" for route in routes), "c.yaml")
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("match", "rule"),
    [
        ("group: 239.1.2.1, udp_port: 6000", "ens4 239.1.2.1:6000 → queue 0"),
        ("group: 239.1.0.0/16", "ens4 239.1.0.0/16 → queue 0"),
        ("group: 239.1.2.1, source: 192.0.2.0/24", "ens4 239.1.2.1 from 192.0.2.0/24 → queue 0"),
        ("group: 'ff3e::1', udp_port: 5, udp_source: 7", "ens4 [ff3e::1]:5 from *:7 → queue 0"),
        ("destination: 192.0.2.1, vlan: 100, dscp: 46", "ens4 192.0.2.1 dscp 46 vlan 100 → queue 0"),
        ("group: 239.1.2.1, vlan: any", "ens4 239.1.2.1 → queue 0"),
    ],
)
def test_a_route_becomes_a_rule(match: str, rule: str) -> None:
    assert list_rules(f"{{name: a, match: {{port: in-0, {match}}}, outputs: [out-0]}}") == {
        "one": [rule],
        "two": [],
    }


def test_what_a_nic_cannot_compare_is_left_to_the_route() -> None:
    routes = [
        f"{{name: s{ssrc}, match: {{port: in-0, group: 239.1.2.1, ssrc: {ssrc}}}, outputs: [out-0]}}"
        for ssrc in (1, 2)
    ]
    assert list_rules(*routes)["one"] == ["ens4 239.1.2.1 → queue 0"]


def test_each_worker_gets_its_own() -> None:
    rules = list_rules(
        "{name: a, match: {port: in-0, group: 239.1.2.1}, outputs: [out-0]}",
        "{name: b, match: {port: in-1, group: 239.1.2.2}, outputs: [out-1]}",
        "{name: c, match: {port: in-1, group: 239.1.2.3}, drop: true}",
    )
    assert rules == {
        "one": ["ens4 239.1.2.1 → queue 0"],
        "two": ["ens4 239.1.2.2 → queue 1", "ens4 239.1.2.3 → queue 1"],
    }


def test_both_paths_of_a_protected_route() -> None:
    rules = list_rules(
        "{name: p, protect: {a: {port: in-0, group: 239.1.3.1, udp_port: 6000}, "
        "b: {port: in-0, group: 239.1.4.1, udp_port: 6000}, class: D, frames_per_s: 8000}, "
        "outputs: [{port: out-0, group: 239.1.5.1}]}"
    )
    assert rules["one"] == ["ens4 239.1.3.1:6000 → queue 0", "ens4 239.1.4.1:6000 → queue 0"]


def test_routes_for_every_port_are_not_steered() -> None:
    assert list_rules("{name: a, match: {group: 239.1.2.1}, outputs: [out-0]}") == {"one": [], "two": []}


OVERLAPS = [
    ("group: 239.1.2.1", "group: 239.1.2.1"),
    ("group: 239.1.2.1, udp_port: 6000", "group: 239.1.2.1"),
    ("group: 239.1.0.0/16", "group: 239.1.2.1, udp_port: 6000"),
    ("group: 239.1.2.1", "group: 239.1.0.0/16, source: 192.0.2.1"),
    ("group: 239.1.2.1, vlan: 100", "group: 239.1.2.1"),
    ("group: 239.1.2.1, ssrc: 1", "group: 239.1.2.1, ssrc: 2"),
]


@pytest.mark.parametrize(("first", "second"), OVERLAPS)
def test_one_frame_is_not_sent_to_two_queues(first: str, second: str) -> None:
    assert refuse(
        f"{{name: a, match: {{port: in-0, {first}}}, outputs: [out-0]}}",
        f"{{name: b, match: {{port: in-1, {second}}}, outputs: [out-1]}}",
    ) == [
        "c.yaml:10: routes[1].match: the NIC could send one frame to in-0 by a and to in-1; steer both to one queue, "
        "or tell them apart by group, source, UDP port or VLAN"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("group: 239.1.2.1, udp_port: 6000", "group: 239.1.2.1, udp_port: 6002"),
        ("group: 239.1.0.0/16", "group: 239.2.2.1"),
        ("group: 239.1.2.1, vlan: 100", "group: 239.1.2.1, vlan: 101"),
        ("group: 239.1.2.1, source: 192.0.2.1", "group: 239.1.2.1, source: 192.0.2.2"),
        ("group: 239.1.2.1", "group: 'ff3e::1'"),
    ],
)
def test_frames_that_differ_may_have_two_queues(first: str, second: str) -> None:
    rules = list_rules(
        f"{{name: a, match: {{port: in-0, {first}}}, outputs: [out-0]}}",
        f"{{name: b, match: {{port: in-1, {second}}}, outputs: [out-1]}}",
    )
    assert [len(of) for of in rules.values()] == [1, 1]


def test_what_no_rule_can_say_is_refused() -> None:
    assert refuse("{name: a, match: {port: in-0, udp_port: 6000}, outputs: [out-0]}") == [
        "c.yaml:9: routes[0].match: in-0 is steered by the NIC, which needs an address; give `group` or `destination`"
    ]
    assert refuse(
        "{name: a, match: {port: in-0, group: 239.1.2.1, vlan: 1, inner_vlan: 2}, outputs: [out-0]}"
    ) == [
        "c.yaml:9: routes[0].match: in-0 is steered by the NIC, which compares one VLAN tag; leave inner_vlan out"
    ]
    whole = HEAD.replace('"netmap:ens4-0"', '"netmap:ens6"')
    assert refuse("{name: a, match: {port: in-0, group: 239.1.2.1}, outputs: [out-0]}", head=whole) == [
        "c.yaml:4: ports[0].steer: netmap:ens6 is no single queue; name one, as in netmap:ens6-0, or remove it"
    ]


def test_thousands_of_routes_are_quick_to_compare() -> None:
    """A quadratic search would need minutes: pytest's time limit is the assertion."""
    routes = [
        f"{{name: r{n}, match: {{port: in-{n % 2}, group: 239.1.{n >> 8}.{n & 255}}}, outputs: [out-{n % 2}]}}"
        for n in range(4000)
    ]
    assert [len(of) for of in list_rules(*routes).values()] == [2000, 2000]


def test_the_file_is_read_back(tmp_path: Path) -> None:
    config = parse_config(
        HEAD + "  - {name: a, match: {port: in-0, group: 239.1.2.1, source: 192.0.2.1}, outputs: [out-0]}\n",
        "c.yaml",
    ).config
    rules = list_flow_rules(config, resolve_tables(config).entries["one"])
    path = tmp_path / "steering.json"
    assert load_rules(path) == ()
    path.write_text(render_rules(rules))
    assert load_rules(path) == rules
