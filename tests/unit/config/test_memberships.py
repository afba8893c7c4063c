# SPDX-License-Identifier: Apache-2.0
"""Which routes need which groups from the network."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.config.memberships import (
    Membership,
    build_memberships,
    list_memberships,
    load_memberships,
    render_memberships,
)
from appliance.config.schema import Config, Match

TEXT = """\
version: 1
workers: [{name: one}, {name: two}]
ports:
  - {name: a, device: "netmap:ens4", worker: one}
  - {name: b, device: "xdp:ens5-2", worker: one}
  - {name: c, device: "netmap:ens6^", worker: one}
  - {name: d, device: "vale0:1", worker: one}
  - {name: e, device: "xdp:ens7", worker: one, membership: "off"}
  - {name: f, device: "xdp:ens8", worker: two}
  - {name: g, device: "memory:g", worker: two}
routes:
  - {name: r1, match: {port: a, group: 239.1.2.1, udp_port: 6000}, outputs: [b]}
  - {name: r2, match: {port: a, group: 239.1.2.1, udp_port: 6002}, outputs: [b]}
  - {name: r3, match: {port: a, vlan: 100, inner_vlan: 7, group: 239.1.2.1, udp_port: 6000}, outputs: [b]}
  - {name: r4, match: {port: b, group: "ff3e::1", udp_port: 6000}, outputs: [a]}
  - {name: r5, match: {port: c, group: 239.1.2.3, udp_port: 6000}, outputs: [a]}
  - {name: r6, match: {port: d, group: 239.1.2.4, udp_port: 6000}, outputs: [a]}
  - {name: r7, match: {port: e, group: 239.1.2.5, udp_port: 6000}, outputs: [a]}
  - {name: r8, match: {port: b, destination: 192.0.2.9, udp_port: 6000}, outputs: [a]}
  - {name: r9, match: {port: f, vlan: 0, group: 239.1.2.6, udp_port: 6000}, outputs: [g]}
  - {name: r11, match: {group: 239.1.2.8, udp_port: 6000}, outputs: [g]}
  - {name: r12, match: {port: a, group: 239.1.2.9, udp_port: 6000}, drop: true}
  - {name: r13, match: {port: [a, b], group: 232.1.2.1, source: 192.0.2.1, udp_port: 6000}, outputs: [e]}
  - {name: r10, match: {port: g, group: 239.1.2.7, udp_port: 6000}, outputs: [f]}
"""


def build(text: str = TEXT) -> Config:
    return parse_config(text, "c.yaml").config


def test_each_group_once_at_interfaces_of_the_network() -> None:
    assert [str(member) for member in list_memberships(build(), resolve_tables(build()).entries["one"])] == [
        "ens4 232.1.2.1 from 192.0.2.1",
        "ens4 239.1.2.1",
        "ens4 vlan 100.7 239.1.2.1",
        "ens5 232.1.2.1 from 192.0.2.1",
        "ens5 ff3e::1",
    ]
    assert [str(member) for member in list_memberships(build(), resolve_tables(build()).entries["two"])] == [
        "ens8 239.1.2.6"
    ]


@pytest.mark.parametrize(
    ("group", "source", "wanted"),
    [
        ("239.1.2.1/32", "192.0.2.1/32", ["ens4 239.1.2.1 from 192.0.2.1"]),
        ("239.1.2.1/32", "192.0.2.0/24", ["ens4 239.1.2.1"]),
        ("239.1.0.0/16", "192.0.2.1/32", []),
        ("ff3e::1/128", "2001:db8::1/128", ["ens4 ff3e::1 from 2001:db8::1"]),
    ],
)
def test_only_what_is_exact_is_joined(group: str, source: str, wanted: list[str]) -> None:
    network = IPv6Network if ":" in group else IPv4Network
    fields = {"group": network(group), "source": network(source), "vlan": None, "inner_vlan": None}
    match = cast(Match, SimpleNamespace(**fields))
    ports = {port.name: port for port in build().ports}
    assert [str(member) for member in build_memberships(ports, [("a", match)])] == wanted


@pytest.mark.parametrize("word", ["any", "untagged"])
def test_words_for_tags_are_no_tags(word: str) -> None:
    match = cast(
        Match, SimpleNamespace(group=IPv4Address("239.1.2.1"), source=None, vlan=word, inner_vlan=word)
    )
    ports = {port.name: port for port in build().ports}
    assert [str(member) for member in build_memberships(ports, [("a", match)])] == ["ens4 239.1.2.1"]


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "memberships.json"
    assert load_memberships(path) == ()
    wanted = (
        Membership("ens4", (100, 7), ip_address("232.1.2.1"), ip_address("192.0.2.1")),
        Membership("ens4", (), ip_address("ff3e::1"), None),
    )
    path.write_text(render_memberships(wanted))
    assert load_memberships(path) == wanted
    path.write_text('[{"interface": "ens4"}]')
    with pytest.raises(ValueError, match="group"):
        load_memberships(path)
