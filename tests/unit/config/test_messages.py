# SPDX-License-Identifier: Apache-2.0
"""Bad configurations: every message word for word, with its line and field."""

import pytest

from appliance.config.load import parse_config
from appliance.errors import ConfigError, ExitCode

GOOD = """\
version: 1
ports:
  - name: red-in
    device: memory:a
  - name: red-out
    device: memory:b
routes:
  - name: camera-1
    match:
      port: red-in
      group: 239.1.2.1
      udp_port: 6000
    outputs: [red-out]
"""

# What is replaced in GOOD, by what, and every line of the refusal.
REFUSED: dict[str, tuple[str, str, list[str]]] = {
    "unicast group where multicast is meant": (
        "239.1.2.1",
        "192.0.2.9",
        ["c.yaml:11: routes[0].match.group: 192.0.2.9 is not a multicast address; use 224.0.0.0/4"],
    ),
    "unicast IPv6 group": (
        "239.1.2.1",
        "2001:db8::1",
        ["c.yaml:11: routes[0].match.group: 2001:db8::1 is not a multicast address; use ff00::/8"],
    ),
    "multicast destination": (
        "group: 239.1.2.1",
        "destination: 239.1.2.1",
        [
            "c.yaml:11: routes[0].match.destination: 239.1.2.1 is a multicast address; "
            "write `group: 239.1.2.1`"
        ],
    ),
    "no address": (
        "239.1.2.1",
        "239.1.2",
        [
            "c.yaml:11: routes[0].match.group: '239.1.2' is not an IPv4 or IPv6 address; "
            "use the form 239.1.2.1 or ff3e::1"
        ],
    ),
    "mapped address": (
        "group: 239.1.2.1",
        "destination: '::ffff:192.0.2.1'",
        [
            "c.yaml:11: routes[0].match.destination: ::ffff:192.0.2.1 is an IPv4 address in IPv6 dress; "
            "write 192.0.2.1"
        ],
    ),
    "both addresses": (
        "group: 239.1.2.1",
        "group: 239.1.2.1\n      destination: 192.0.2.1",
        ["c.yaml:12: routes[0].match.destination: given beside `group`; keep one of the two"],
    ),
    "unknown field, close": (
        "udp_port: 6000",
        "udp_prt: 6000",
        ["c.yaml:12: routes[0].match.udp_prt: unknown field; did you mean `udp_port`?"],
    ),
    "unknown field, far": (
        "version: 1",
        "version: 1\nplugins: []",
        [
            "c.yaml:2: plugins: unknown field; known here: version, workers, ports, cross_connects, routes, discover"
        ],
    ),
    "a field that is missing": (
        "  - name: red-in\n    device: memory:a\n",
        "  - name: red-in\n",
        [
            "c.yaml:3: ports[0].device: missing; give the device: netmap:INTERFACE, vale0:PORT, xdp:INTERFACE "
            "or memory:NAME"
        ],
    ),
    "number in quotes": (
        "6000",
        '"6000"',
        ["c.yaml:12: routes[0].match.udp_port: '6000' is text, a whole number is wanted; remove the quotes"],
    ),
    "text for a number": (
        "6000",
        "many",
        ["c.yaml:12: routes[0].match.udp_port: 'many' is not a whole number"],
    ),
    "a boolean is no number": (
        "6000",
        "true",
        ["c.yaml:12: routes[0].match.udp_port: true is not a whole number"],
    ),
    "number out of range": (
        "6000",
        "65536",
        ["c.yaml:12: routes[0].match.udp_port: 65536 is too large; at most 65535"],
    ),
    "number for text": (
        "name: camera-1",
        "name: 5",
        ["c.yaml:8: routes[0].name: 5 is not text; put it in quotes"],
    ),
    "nothing": ("name: camera-1", "name:", ["c.yaml:8: routes[0].name: empty; give a value"]),
    "text for a list": (
        "[red-out]",
        "red-out",
        ["c.yaml:13: routes[0].outputs: 'red-out' is not a list; begin each entry with `- `"],
    ),
    "empty list": (
        "[red-out]",
        "[]",
        ["c.yaml:13: routes[0].outputs: the list is empty; at least 1 is needed"],
    ),
    "too many outputs": (
        "[red-out]",
        "[a, b, c, d, e, f, g, h, i]",
        ["c.yaml:13: routes[0].outputs: 9 entries are too many; at most 8"],
    ),
    "unknown port in match": (
        "port: red-in",
        "port: read-in",
        ["c.yaml:10: routes[0].match.port: no port read-in; did you mean red-in?"],
    ),
    "unknown port in outputs": (
        "[red-out]",
        "[red-out, x]",
        ["c.yaml:13: routes[0].outputs[1]: no port x; known: red-in, red-out"],
    ),
    "output twice": (
        "[red-out]",
        "[red-out, red-out]",
        ["c.yaml:13: routes[0].outputs[1]: red-out is given twice; every output gets one copy"],
    ),
    "output is the ingress": (
        "[red-out]",
        "[red-in]",
        [
            "c.yaml:13: routes[0].outputs[0]: red-in is where the frames arrive; "
            "sending them back makes a loop, remove it"
        ],
    ),
    "inner tag without outer": (
        "udp_port: 6000",
        "udp_port: 6000\n      inner_vlan: 5",
        ["c.yaml:13: routes[0].match.inner_vlan: needs the outer tag; add `vlan:`"],
    ),
    "reserved VLAN id": (
        "udp_port: 6000",
        "udp_port: 6000\n      vlan: 4095",
        ["c.yaml:13: routes[0].match.vlan: 4095 is too large; at most 4094"],
    ),
    "name that is a path": (
        "name: camera-1",
        "name: ../x",
        [
            "c.yaml:8: routes[0].name: '../x' is not a name; use 1 to 63 letters, digits, `-`, `_` and `.`, "
            "a letter or a digit first"
        ],
    ),
    "same name": (
        "name: red-out",
        "name: red-in",
        [
            "c.yaml:5: ports[1].name: red-in is taken by line 3; choose another",
            "c.yaml:13: routes[0].outputs[0]: no port red-out; did you mean red-in?",
        ],
    ),
    "same device": (
        "memory:b",
        "memory:a",
        [
            "c.yaml:6: ports[1].device: memory:a is in use by port red-in (memory:a, line 4); "
            "a device belongs to one port"
        ],
    ),
    "device without kind": (
        "memory:b",
        "ens4",
        ["c.yaml:6: ports[1].device: 'ens4' does not say which kind of port; write netmap:ens4 or xdp:ens4"],
    ),
    "device of no kind": (
        "memory:b",
        "dpdk:0",
        [
            "c.yaml:6: ports[1].device: 'dpdk:0' is not a device; "
            "use netmap:INTERFACE, vale0:PORT, xdp:INTERFACE or memory:NAME"
        ],
    ),
    "interface name too long": (
        "memory:b",
        "xdp:enp0s31f6thatistoolong",
        [
            "c.yaml:6: ports[1].device: 'enp0s31f6thatistoolong' is no interface name: longer than 15 "
            "characters; `ip link` shows the names of this host"
        ],
    ),
    "emulated on no netmap port": (
        "memory:b",
        "memory:b\n    emulated: allow",
        ["c.yaml:7: ports[1].emulated: memory:b is no netmap port; remove it"],
    ),
    "xdp on no xdp port": (
        "memory:b",
        "memory:b\n    xdp: {mode: native}",
        ["c.yaml:7: ports[1].xdp: memory:b is no xdp port; remove it"],
    ),
    "kloop of no netmap port": (
        "memory:b",
        "memory:b\n    sync: kloop",
        ["c.yaml:7: ports[1].sync: memory:b is no netmap port; remove it"],
    ),
    "kloop of host rings": (
        "version: 1\nports:\n  - name: red-in\n    device: memory:a",
        'version: 1\nworkers: [{name: main, wait: busy}]\nports:\n  - name: red-in\n    device: "netmap:ens4^"\n'
        "    sync: kloop",
        ["c.yaml:6: ports[0].sync: netmap:ens4^ is the host stack's side, which no loop syncs; remove it"],
    ),
    "kloop of a worker that sleeps": (
        "memory:b",
        "netmap:ens5\n    sync: kloop",
        [
            "c.yaml:7: ports[1].sync: nothing wakes worker main, which sleeps, for such a port; write `wait: busy` "
            "there or remove it"
        ],
    ),
    "busy poll of the generic hook": (
        "memory:b",
        "xdp:ens5\n    xdp: {mode: generic, busy_poll: {}}",
        [
            "c.yaml:7: ports[1].xdp.busy_poll: the generic hook has no queue to poll; use mode: native or remove it"
        ],
    ),
    "busy poll without a budget": (
        "memory:b",
        "xdp:ens5\n    xdp: {busy_poll: {budget_frames: 0}}",
        ["c.yaml:7: ports[1].xdp.busy_poll.budget_frames: 0 is too small; at least 1"],
    ),
    "two queues of an interface, one polled": (
        "    device: memory:a\n  - name: red-out\n    device: memory:b",
        "    device: xdp:ens5-0\n    xdp: {busy_poll: {}}\n  - name: red-out\n    device: xdp:ens5-1",
        [
            "c.yaml:5: ports[0].xdp.busy_poll: port red-out of ens5 says otherwise, an interface has one setting for "
            "all its queues; write the same busy_poll at both"
        ],
    ),
    "two queues of an interface, polled otherwise": (
        "    device: memory:a\n  - name: red-out\n    device: memory:b",
        "    device: xdp:ens5-0\n    xdp: {busy_poll: {}}\n  - name: red-out\n    device: xdp:ens5-1\n"
        "    xdp: {busy_poll: {poll_us: 50}}",
        [
            "c.yaml:8: ports[1].xdp.busy_poll: port red-in of ens5 says otherwise, an interface has one setting for "
            "all its queues; write the same busy_poll at both"
        ],
    ),
    "unknown xdp mode": (
        "memory:b",
        "xdp:ens5\n    xdp: {mode: offload}",
        ["c.yaml:7: ports[1].xdp.mode: 'offload' is not known; use native or generic"],
    ),
    "generic zero-copy": (
        "memory:b",
        "xdp:ens5\n    xdp: {mode: generic, copy: zerocopy}",
        ["c.yaml:7: ports[1].xdp.copy: the generic hook always copies; use mode: native or copy: copy"],
    ),
    "ring slots of a netmap port": (
        "memory:b",
        "netmap:ens5\n    ring_slots: 1024",
        [
            "c.yaml:7: ports[1].ring_slots: netmap:ens5 has the rings its driver gives it; "
            "remove it, or set them with `ethtool -G`"
        ],
    ),
    "ring slots no power of two": (
        "memory:b",
        "memory:b\n    ring_slots: 1000",
        ["c.yaml:7: ports[1].ring_slots: 1000 is not a power of two; use 512 or 1024"],
    ),
    "unknown worker": (
        "memory:b",
        "memory:b\n    worker: man",
        ["c.yaml:7: ports[1].worker: no worker man; did you mean main?"],
    ),
    "wait mode": (
        "version: 1",
        "version: 1\nworkers: [{name: main, wait: sleepy}]",
        ["c.yaml:2: workers[0].wait: 'sleepy' is not known; use poll, busy or adaptive"],
    ),
    "other version": ("version: 1", "version: 2", ["c.yaml:1: version: 2 is not known; use 1"]),
    "field twice": (
        "version: 1",
        "version: 1\nversion: 1",
        ["c.yaml:2: version: given twice, first in line 1; keep one"],
    ),
    "alias": (
        "device: memory:b",
        "device: *x",
        ["c.yaml:6: ports[1].device: aliases (*name) are not used here; write the value out"],
    ),
    "tag": (
        "device: memory:b",
        "device: !!binary aGVsbG8=",
        ["c.yaml:6: ports[1].device: the tag tag:yaml.org,2002:binary is not used here; leave it out"],
    ),
    "name that is no text": (
        "version: 1",
        "version: 1\n5: x",
        ["c.yaml:2: a field name is not text; write names as in the reference"],
    ),
}


@pytest.mark.parametrize(("old", "new", "wanted"), REFUSED.values(), ids=REFUSED)
def test_message(old: str, new: str, wanted: list[str]) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ConfigError) as refusal:
        parse_config(GOOD.replace(old, new, 1), "c.yaml")
    assert list(refusal.value.problems) == wanted
    assert refusal.value.exit_code == ExitCode.CONFIG_REFUSED


def test_the_base_of_these_tests_is_good() -> None:
    assert parse_config(GOOD, "c.yaml").config.routes[0].name == "camera-1"


def test_two_routes_that_contradict_name_both_lines() -> None:
    second = GOOD.split("routes:\n")[1].replace("camera-1", "camera-2")
    with pytest.raises(ConfigError) as refusal:
        parse_config(GOOD + second, "c.yaml")
    assert list(refusal.value.problems) == [
        "c.yaml:15: routes[1].match: red-in 239.1.2.1:6000 is matched by route camera-1 (line 9) already; "
        "join their outputs in one route"
    ]


def test_the_same_group_in_another_vlan_is_no_contradiction() -> None:
    second = GOOD.split("routes:\n")[1].replace("camera-1", "camera-2")
    tagged = second.replace("udp_port", "vlan: 7\n      udp_port")
    assert len(parse_config(GOOD + tagged, "c.yaml").config.routes) == 2


WORKERS = """\
version: 1
workers:
  - {name: one, cpu: 1, wait: busy}
  - {name: two, cpu: 1}
  - {name: three}
ports:
  - {name: a, device: "memory:a", worker: one}
  - {name: b, device: "memory:b", worker: two}
  - {name: c, device: "memory:c"}
routes:
  - name: r
    match: {port: a, group: 239.1.2.1, udp_port: 6000}
    outputs: [b]
"""


def test_workers_and_their_ports() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(WORKERS, "c.yaml")
    assert list(refusal.value.problems) == [
        "c.yaml:4: workers[1].cpu: CPU 1 is taken by worker one (line 3) and one of them never sleeps; "
        "give each its own",
        "c.yaml:5: workers[2]: worker three has no port; give it one or remove it",
        "c.yaml:9: ports[2].worker: missing; name one of the workers one, two, three",
        "c.yaml:13: routes[0].outputs[0]: b belongs to worker two, frames arrive at a of worker one; "
        "put both ports into one worker",
    ]


def test_too_many_ports_for_one_worker() -> None:
    ports = "".join(f'  - {{name: p{index}, device: "memory:{index}"}}\n' for index in range(17))
    with pytest.raises(ConfigError) as refusal:
        parse_config("version: 1\nports:\n" + ports, "c.yaml")
    assert refusal.value.message == "c.yaml:1: workers[0]: worker main has 17 ports, at most 16; add a worker"
