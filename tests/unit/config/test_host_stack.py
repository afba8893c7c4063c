# SPDX-License-Identifier: Apache-2.0
"""`host_stack:` of a port: what is accepted, what is refused and how, and what the worker is told."""

import pytest

from appliance.config.load import parse_config
from appliance.config.plan import explain_spec_change
from appliance.config.schema import Config
from appliance.config.worker_spec import build_worker_spec
from appliance.errors import ConfigError

TEXT = """\
version: 1
ports:
  - name: red-in
    device: {device}
    host_stack: {classes}
  - name: red-out
    device: {other}
"""


def parse(device: str, classes: str = "[arp, ptp]", other: str = "netmap:ens5") -> Config:
    return parse_config(TEXT.format(device=device, classes=classes, other=other), "c.yaml").config


@pytest.mark.parametrize("device", ["netmap:ens4", "xdp:ens4", "xdp:ens4-1"])
def test_whole_interfaces_and_xdp_queues_may_have_one(device: str) -> None:
    spec = build_worker_spec(parse(device), "main")
    assert spec.ports[0].host_stack == ("arp", "ptp")
    assert spec.ports[1].host_stack == ()


@pytest.mark.parametrize(
    ("device", "classes", "other", "message"),
    [
        (
            "netmap:ens4-0",
            "[arp]",
            "netmap:ens5",
            "c.yaml:5: ports[0].host_stack: netmap:ens4-0 is not a whole interface; "
            "use netmap:INTERFACE or xdp:INTERFACE, or remove it",
        ),
        (
            "memory:a",
            "[arp]",
            "netmap:ens5",
            "c.yaml:5: ports[0].host_stack: memory:a is not a whole interface; "
            "use netmap:INTERFACE or xdp:INTERFACE, or remove it",
        ),
        (
            "netmap:ens4",
            "[arp]",
            "netmap:ens4^",
            "c.yaml:5: ports[0].host_stack: the host's side of netmap:ens4 is port red-out; keep one of the two",
        ),
        (
            "netmap:ens4",
            "[arp, ptp, arp]",
            "netmap:ens5",
            "c.yaml:5: ports[0].host_stack: arp is given twice; name each class once",
        ),
    ],
)
def test_what_cannot_be_is_refused(device: str, classes: str, other: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(device, classes, other)
    assert message in str(refusal.value).splitlines()


@pytest.mark.parametrize("classes", ["[ssh]", "[]", "arp"])
def test_what_is_no_list_of_classes_is_refused(classes: str) -> None:
    with pytest.raises(ConfigError, match=r"^c\.yaml:5: ports\[0\]\.host_stack"):
        parse("netmap:ens4", classes)


def test_host_ports_count_as_ports_of_the_worker() -> None:
    ports = [
        f"  - {{name: p{number}, device: 'netmap:ens{number}', host_stack: [arp]}}" for number in range(9)
    ]
    with pytest.raises(ConfigError, match="worker main has 9 ports and 9 host ports of them, at most 16"):
        parse_config("\n".join(["version: 1", "ports:", *ports]) + "\n", "c.yaml")
    parse_config("\n".join(["version: 1", "ports:", *ports[:8]]) + "\n", "c.yaml")


def test_a_name_leaves_room_for_the_mark() -> None:
    for length, refused in ((62, False), (63, True)):
        port = f"  - {{name: {'a' * length}, device: 'netmap:ens4', host_stack: [arp]}}"
        text = f"version: 1\nports:\n{port}\n"
        if refused:
            with pytest.raises(ConfigError, match="is too long beside `host_stack`; use at most 62"):
                parse_config(text, "c.yaml")
        else:
            parse_config(text, "c.yaml")


def test_another_set_restarts_the_worker_and_another_order_does_not() -> None:
    before = build_worker_spec(parse("netmap:ens4"), "main")
    assert explain_spec_change(before, build_worker_spec(parse("netmap:ens4", "[ptp, arp]"), "main")) is None
    after = build_worker_spec(parse("netmap:ens4", "[arp]"), "main")
    assert explain_spec_change(before, after) == "port red-in host_stack arp/ptp → arp"
