# SPDX-License-Identifier: Apache-2.0
"""What whole configurations are refused for: defaults, cross-connects, routes that get no frame, limits."""

import pytest

from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.errors import ConfigError

BASE = """\
version: 1
ports:
  - {name: a, device: "memory:a"}
  - {name: b, device: "memory:b"}
  - {name: d, device: "xdp:ens1"}
  - {name: n, device: "netmap:ens2"}
  - {name: h, device: "netmap:ens3^"}
routes:
"""


def read_problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "c.yaml")
    return list(refusal.value.problems)


PORTS = """\
version: 1
workers: [{name: one}, {name: two}]
ports:
  - {name: a, device: "netmap:ens1", worker: one DEFAULT}
  - {name: b, device: "memory:b", worker: one}
  - {name: c, device: "memory:c", worker: two}
  - {name: d, device: "memory:d", worker: two}
"""


@pytest.mark.parametrize(
    ("default", "rest", "wanted"),
    [
        (
            "no-such",
            "",
            ["c.yaml:4: ports[0].default: no route no-such; known: drop"],
        ),
        (
            "camera",
            "routes: [{name: camera, outputs: [d]}]",
            [
                "c.yaml:4: ports[0].default: route camera belongs to worker two, a to worker one; "
                "give a a route of its own"
            ],
        ),
        (
            "camera",
            "routes: [{name: camera, match: {port: a, vlan: 7}, outputs: [{port: b, vlan: pop}]}]",
            [
                "c.yaml:4: ports[0].default: route camera (vlan of an output): pop: the match takes frames with "
                "and without a tag; name one VLAN in `match.vlan`"
            ],
        ),
        (
            "[a]",
            "",
            [
                "c.yaml:4: ports[0].default[0]: a is where the frames arrive; sending them back makes a loop, remove it"
            ],
        ),
        (
            "[5]",
            "",
            [
                "c.yaml:4: ports[0].default[0]: 5 is no output; write the name of a port, or a mapping with `port:`"
            ],
        ),
        ("5", "", ["c.yaml:4: ports[0].default: 5 is not text; put it in quotes"]),
        (
            "[{port: b, destination_mac: from-group}]",
            "",
            [
                "c.yaml:4: ports[0].default[0].destination_mac: from-group: there is no group; "
                "give one here or in the match"
            ],
        ),
        (
            "[b]",
            "cross_connects: [{name: x, ports: [b, a]}]",
            [
                "c.yaml:8: cross_connects[0].ports[1]: line 4 says what a does with frames that no route takes; "
                "keep one"
            ],
        ),
        (
            "drop",
            "cross_connects: [{name: x, ports: [b, c]}, {name: y, ports: [d, d]}, {name: z, ports: [b]}]",
            ["c.yaml:8: cross_connects[2].ports: 1 entry is too few; at least 2 are needed"],
        ),
        (
            "drop",
            "cross_connects: [{name: x, ports: [b, c]}, {name: y, ports: [d, d]}, {name: y, ports: [e, d]}]",
            [
                "c.yaml:8: cross_connects[2].name: y is taken by line 8; choose another",
                "c.yaml:8: cross_connects[0].ports[1]: c belongs to worker two, frames arrive at b of worker one; "
                "put both ports into one worker",
                "c.yaml:8: cross_connects[1].ports[1]: d is given twice; name every port once",
                "c.yaml:8: cross_connects[2].ports[0]: no port e; known: a, b, c, d",
                "c.yaml:8: cross_connects[2].ports[1]: line 8 says what d does with frames that no route takes; "
                "keep one",
            ],
        ),
        (
            "drop",
            "routes: [{name: drop, match: {vlan: 7}, drop: true}, {name: h, match: {port: [a, c]}, outputs: [b]}]",
            [
                "c.yaml:8: routes[0].name: `default: drop` means something else; choose another",
                "c.yaml:8: routes[0].match: missing port; there are several workers, name ports of one of them",
                "c.yaml:8: routes[1].match.port[1]: c belongs to worker two, a to worker one; "
                "write a route for each worker",
            ],
        ),
    ],
)
def test_defaults_and_cross_connects(default: str, rest: str, wanted: list[str]) -> None:
    assert read_problems(PORTS.replace(" DEFAULT", f", default: {default}") + rest) == wanted


def list_routes(*routes: str) -> str:
    lines = [f"  - {{name: r{number}, {route}}}\n" for number, route in enumerate(routes)]
    return BASE + "".join(lines)


@pytest.mark.parametrize(
    ("routes", "wanted"),
    [
        (
            ["match: {port: a, vlan: any}, drop: true", "match: {port: a, vlan: any}, outputs: [b]"],
            [
                "c.yaml:10: routes[1].match: a vlan any is matched by route r0 (line 9) already; "
                "join their outputs in one route"
            ],
        ),
        (
            [
                "match: {port: a, udp_port: 5}, drop: true",
                "match: {port: a, udp_port: 5, priority: 1}, outputs: [b]",
            ],
            [
                "c.yaml:9: routes[0].match: a *:5 gets no frame: route r1 (line 10) takes the same ones with "
                "priority 1; remove one of the two"
            ],
        ),
        (
            [
                "match: {udp_port: 5, priority: 1}, drop: true",
                "match: {port: a, udp_port: 5}, outputs: [b]",
            ],
            [
                "c.yaml:10: routes[1].match: a *:5 gets no frame: route r0 (line 9) takes the same ones with "
                "priority 1; remove one of the two"
            ],
        ),
    ],
)
def test_routes_of_which_one_would_get_no_frame(routes: list[str], wanted: list[str]) -> None:
    assert read_problems(list_routes(*routes)) == wanted


def test_a_route_for_all_ports_that_gives_way_at_each() -> None:
    routes = ["match: {udp_port: 5}, outputs: [b]", "match: {port: [a, d, n, h], udp_port: 5}, drop: true"]
    assert read_problems(list_routes(*routes)) == [
        "c.yaml:9: routes[0].match: every port *:5 gets no frame: route r1 (line 10) takes the same ones "
        "at ports it names; remove one of the two"
    ]


def test_a_route_for_all_ports_that_leaves_none() -> None:
    assert read_problems(list_routes("match: {udp_port: 5}, outputs: [a, b, d, n, h]")) == [
        "c.yaml:9: routes[0].match: every port of worker main is an output, none is left to receive; name `port:`"
    ]


def test_a_route_that_names_its_port_wins() -> None:
    routes = ["match: {udp_port: 5}, drop: true", "match: {port: a, udp_port: 5}, outputs: [b]"]
    assert len(parse_config(list_routes(*routes), "c.yaml").config.routes) == 2


def test_a_default_that_gets_no_frame() -> None:
    text = list_routes("match: {port: a, vlan: any}, outputs: [b]").replace(
        '"memory:a"', '"memory:a", default: [d]'
    )
    assert read_problems(text) == [
        "c.yaml:3: ports[0].default: r0 (line 9) takes every frame of a already; remove one of the two"
    ]


def test_more_shapes_than_a_table_holds() -> None:
    routes = [f"match: {{port: a, source: 10.0.0.0/{bits}}}, drop: true" for bits in range(8, 33)]
    routes += [f"match: {{port: a, group: 239.0.0.0/{bits}}}, drop: true" for bits in range(8, 16)]
    assert read_problems(list_routes(*routes)) == [
        "c.yaml:41: routes[32]: worker main already has routes with 32 different sets of matched fields and prefix "
        "lengths, no more can be searched at line rate; match the same fields as another route, or add a worker"
    ]
    assert len(parse_config(list_routes(*routes[:-1]), "c.yaml").config.routes) == 32


def test_more_routes_than_a_table_holds() -> None:
    ports = "[a, b, d, n, h]"
    routes = [f"match: {{port: {ports}, udp_port: {number}}}, drop: true" for number in range(1, 3278)]
    assert read_problems(list_routes(*routes)) == [
        "c.yaml:1: workers[0]: worker main has 16385 routes, a route counts once for each of its ports, "
        "at most 16384; add a worker"
    ]


def test_a_running_worker_the_configuration_no_longer_has_has_no_routes() -> None:
    """The daemon takes over what runs (law 1), and asks for its table before it ends it."""
    text = list_routes("match: {port: a, vlan: any}, drop: true")
    tables = resolve_tables(parse_config(text, "c.yaml").config)
    assert tables.list_fates("gone") == {}
    assert tables.entries.get("gone") is None


@pytest.mark.parametrize("learn", [True, False])
def test_three_ports_say_whether_they_learn(learn: bool) -> None:
    ports = "".join(f'  - {{name: {name}, device: "memory:{name}"}}\n' for name in "abc")
    ports = f"version: 1\nports:\n{ports}"
    floor = "cross_connects: [{name: floor, ports: [a, b, c]}]"
    assert read_problems(ports + floor) == [
        "c.yaml:6: cross_connects[0].learn: missing; of 3 ports say `learn: true` (a frame goes to the port its "
        "destination was seen at) or `learn: false` (to all others)"
    ]
    loaded = parse_config(ports + floor.replace("c]", f"c], learn: {str(learn).lower()}"), "c.yaml")
    assert loaded.config.cross_connects[0].learn is learn
