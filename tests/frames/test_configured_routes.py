# SPDX-License-Identifier: Apache-2.0
"""Random configurations through check, table and the true loop: every byte and counter as the configuration page says.

What `check` accepts, the fast path takes; what it refuses names a line of the file.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from appliance.config.entries import resolve_tables
from appliance.config.load import Loaded, parse_config
from appliance.daemon.counters import assign_counters, read_nothing
from appliance.daemon.publish import build_route, number_groups
from appliance.errors import ConfigError

from .model_config import ConfiguredWorker
from .rig import Rig
from .strategies import arrivals

RING_SLOTS = 64
# The loop runs over memory ports of these names; the devices only decide who is whose host side.
DEVICES = {
    "p0": "netmap:a",
    "p1": "netmap:a^",
    "p2": "netmap:b",
    "p3": "netmap:b^",
    "p4": "memory:c",
    "p5": "memory:d",
}

V4_GROUPS, V4_HOSTS = ["239.1.2.1", "239.1.2.2", "239.1.0.0/16"], ["192.0.2.9", "192.0.2.0/24", "0.0.0.0/0"]
V6_GROUPS, V6_HOSTS = ["ff3e::1", "ff00::/8"], ["2001:db8::9", "2000::/3"]
SOURCES = ["192.0.2.1", "192.0.2.0/24", "198.51.100.0/24", "2001:db8::1", "2001:db8::/32"]


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with any of these fields, most of them absent."""
    return st.fixed_dictionaries({}, optional={name: sparse(values) for name, values in fields.items()}).map(
        lambda given: {name: value for name, value in given.items() if value is not ABSENT}
    )


ABSENT = object()


def sparse(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(ABSENT), values)


port_names = st.sampled_from(sorted(DEVICES))
MATCHED = {
    "vlan": st.sampled_from([0, 100, 4094, "untagged", "any", "any"]),
    "inner_vlan": st.sampled_from([100, 4094, "untagged", "any"]),
    "udp_port": st.sampled_from([5004, 6000]),
    "udp_source": st.sampled_from([5000, 5004]),
    "dscp": st.sampled_from([0, 46]),
    "payload_type": st.sampled_from([96, 97, "not_rtp"]),
    "ssrc": st.sampled_from(["0xcafe0001", 0xCAFE0001, 7]),
    "priority": st.sampled_from([0, 1, 4294967295]),
}
REWRITTEN = {
    "source_mac": st.just("02:00:00:00:be:ef"),
    "udp_source": st.sampled_from([0, 7000]),
    "udp_port": st.sampled_from([5004, 65535]),
    "dscp": st.sampled_from([0, 63]),
    "ttl": st.just("decrement"),
    "ssrc": st.sampled_from([0, "0xFFFFFFFF"]),
    "payload_type": st.sampled_from([0, 127]),
}
NEW_GROUPS = {4: ["239.255.255.255", "224.128.0.1"], 6: ["ff3e::1:ffff:ffff", "ff02::1"]}
NEW_HOSTS = {4: ["192.0.2.77"], 6: ["2001:db8::77"]}
MACS = ["02:00:00:00:00:07", "01-00-5E-00-00-01", "from-group", "keep"]

# Any field with any value: most of it is refused.
wild_matches = maybe(
    port=st.one_of(port_names, port_names, st.lists(port_names, min_size=1, max_size=3, unique=True)),
    group=st.sampled_from(V4_GROUPS + V6_GROUPS),
    destination=st.sampled_from(V4_HOSTS + V6_HOSTS),
    source=st.sampled_from(SOURCES),
    **MATCHED,
)
wild_outputs = st.builds(
    lambda port, rewrite: {"port": port, **rewrite} if rewrite else port,
    port_names,
    maybe(
        destination_mac=st.sampled_from(MACS),
        vlan=st.sampled_from(["pop", {"pop": True}, {"push": 7}, {"push": 0}, {"set": 4094}]),
        group=st.sampled_from(NEW_GROUPS[4] + NEW_GROUPS[6]),
        destination=st.sampled_from(NEW_HOSTS[4] + NEW_HOSTS[6]),
        source=st.sampled_from(NEW_HOSTS[4] + NEW_HOSTS[6]),
        **REWRITTEN,
    ),
)
output_lists = st.lists(wild_outputs, min_size=1, max_size=3)
other_fates = st.sampled_from([{"drop": True}, {"to_host": True}])
wild_routes = st.builds(
    lambda match, fate: {**({"match": match} if match else {}), **fate},
    wild_matches,
    st.one_of(st.builds(lambda given: {"outputs": given}, output_lists), other_fates),
)


@st.composite
def fitting_matches(draw: st.DrawFn, family: int) -> dict[str, Any]:
    """What an operator would write: addresses of one family, tags that can be."""
    match: dict[str, Any] = draw(maybe(**MATCHED))
    if match.get("vlan", "untagged") == "untagged":
        match.pop("inner_vlan", None)
    if match.get("payload_type") == "not_rtp":
        match.pop("ssrc", None)
    groups, hosts = (V4_GROUPS, V4_HOSTS) if family == 4 else (V6_GROUPS, V6_HOSTS)
    to = draw(st.sampled_from(["group", "group", "destination", ""]))
    if to:
        match[to] = draw(st.sampled_from(groups if to == "group" else hosts))
    if draw(st.booleans()):
        match["source"] = draw(
            st.sampled_from([source for source in SOURCES if (":" in source) == (family == 6)])
        )
    return match


@st.composite
def fitting_rewrites(draw: st.DrawFn, match: dict[str, Any], family: int) -> dict[str, Any]:
    """What this match allows."""
    rewrite: dict[str, Any] = draw(maybe(**REWRITTEN))
    if match.get("payload_type") == "not_rtp":
        rewrite.pop("ssrc", None)
        rewrite.pop("payload_type", None)
    tagged = isinstance(match.get("vlan"), int)
    changes: list[Any] = [None, {"push": 7}, *(["pop", {"pop": True}, {"set": 4094}] if tagged else [])]
    change = draw(st.sampled_from(changes))
    rewrite |= {} if change is None else {"vlan": change}
    if {"group", "destination", "source"} & match.keys():
        new = draw(st.sampled_from(["group", "group", "destination", ""]))
        if new:
            rewrite[new] = draw(st.sampled_from((NEW_GROUPS if new == "group" else NEW_HOSTS)[family]))
        if new == "destination" or draw(st.integers(0, 3)) == 0:
            rewrite["destination_mac"] = draw(st.sampled_from(MACS[:2] + MACS[3:]))
        if draw(st.booleans()):
            rewrite["source"] = draw(st.sampled_from(NEW_HOSTS[family]))
    return rewrite


@st.composite
def fitting_routes(draw: st.DrawFn) -> dict[str, Any]:
    """A route that `check` accepts, as far as it goes alone."""
    family = draw(st.sampled_from([4, 4, 6]))
    match = draw(fitting_matches(family))
    ports = draw(st.permutations(sorted(DEVICES)))
    ingress = ports[: draw(st.integers(0, 2))]
    if ingress:
        match["port"] = ingress if len(ingress) > 1 else ingress[0]
    elif not match:
        match["vlan"] = "any"
    if draw(st.integers(0, 5)) == 0:
        return {"match": match, "drop": True}
    outputs: list[Any] = []
    for port in ports[2 : 2 + draw(st.integers(1, 3))]:
        rewrite = draw(st.one_of(st.just({}), fitting_rewrites(match, family)))
        outputs.append({"port": port, **rewrite} if rewrite else port)
    return {"match": match, "outputs": outputs}


# Few hosts, so that they meet; one address is a group's.
stations = st.sampled_from([b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\3", b"\1\0\x5e\0\0\1"])


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Anything; some of it contradicts itself."""
    routes = [
        {"name": f"r{number}", **route}
        for number, route in enumerate(
            draw(
                st.lists(st.one_of(fitting_routes(), fitting_routes(), wild_routes), min_size=1, max_size=12)
            )
        )
    ]
    defaults = st.one_of(
        st.just("drop"), st.sampled_from([route["name"] for route in routes] or ["drop"]), output_lists
    )
    ports = [
        {
            "name": name,
            "device": device,
            **({"default": draw(defaults)} if draw(st.integers(0, 4)) == 0 else {}),
        }
        for name, device in DEVICES.items()
    ]
    groups = st.lists(port_names, min_size=2, max_size=4, unique=True)
    connected = [
        {"name": f"x{number}", "ports": group, "learn": draw(st.booleans())}
        for number, group in enumerate(draw(st.lists(groups, max_size=1)))
    ]
    return {"version": 1, "ports": ports, "cross_connects": connected, "routes": routes}


def drop_refused(config: dict[str, Any]) -> Loaded:
    """The configuration without what `check` refuses; every refusal says where."""
    while True:
        try:
            return parse_config(yaml.safe_dump(config, sort_keys=False), "c.yaml")
        except ConfigError as refusal:
            problems = refusal.problems
        refused = {re.match(r"c\.yaml:\d+: (\w+)\[(\d+)\]", problem) for problem in problems}
        found = {(place[1], int(place[2])) for place in refused if place is not None}
        assert found, problems
        for section, index in sorted(found, reverse=True):
            if section == "ports":
                del config["ports"][index]["default"]
            else:
                del config[section][index]


@settings(phases=[Phase.explicit, Phase.generate])
@given(st.data())
def test_configured_routes(tmpfs: Path, data: st.DataObject) -> None:
    with Rig(tmpfs / "state", [0] * len(DEVICES), RING_SLOTS, [2048]) as rig:
        config = data.draw(configurations(), label="configuration")
        loaded = drop_refused(config)
        event(f"{len(config['routes'])} routes kept")
        tables = resolve_tables(loaded.config)
        counters = assign_counters({}, tables.list_fates("main"), read_nothing)
        indices = {name: index for index, name in enumerate(DEVICES)}
        entries = tables.entries["main"]
        groups = number_groups(entries, counters)
        routes = [
            build_route(entry, indices, counters[entry.name].index, groups.get(entry.group, 0))
            for entry in entries
        ]
        rig.publish(routes)
        rig.model = ConfiguredWorker(
            rig.model.ports,
            config=config,
            counters={name: counter.index for name, counter in counters.items()},
        )
        for index, frame in data.draw(st.lists(arrivals(routes, len(DEVICES)), max_size=30), label="frames"):
            hosts = data.draw(st.tuples(stations, stations), label="to and from")
            rig.inject(index, b"".join(hosts) + frame[12:] if len(frame) >= 12 else frame)
        rig.run_dry()
        rig.turn()
        rig.check_account()
        rig.check_outputs()
