# SPDX-License-Identifier: Apache-2.0
"""What the lab expects of a protected flow, against sets counted another way; and that its configuration is one."""

from pathlib import Path

import yaml
from lab.inventory import plan_configuration
from lab.media import load_media
from lab.nics import MEDIA_MACS, Ports
from lab.protection import FRAMES, Expected, list_paths, list_sendings, plan_protection, read_number

from appliance.config.load import parse_config


def test_losses_are_as_said(tmp_path: Path) -> None:
    """Generated media: no capture is needed to know what will be sent."""
    (audio,) = [one for one in load_media(tmp_path) if len(one.flows) == 2]
    paths = list_paths(audio)
    expected = Expected(late=5)
    for path, number, frame in list_sendings(paths):
        assert read_number(frame) == number
        (expected.a, expected.b)[path].add(number)
    counts = expected.list_counts()
    places = range(1, FRAMES - 1)
    assert counts["lost by A"] == sum(place % 10 == 3 for place in places)
    assert counts["lost by B"] == sum(place % 7 == 1 for place in places)
    assert counts["lost by both"] == sum(place % 10 == 3 and place % 7 == 1 for place in places)
    assert counts["received by B"] == FRAMES - counts["lost by B"] + 5
    assert counts["merged"] == FRAMES - counts["lost by A"] - counts["lost by B"] + counts["lost by both"]


def test_the_guest_would_take_it(tmp_path: Path) -> None:
    (audio,) = [one for one in load_media(tmp_path) if len(one.flows) == 2]
    interfaces = {mac: f"ens{place}" for place, mac in enumerate(MEDIA_MACS)}
    for ports in Ports:
        before = plan_configuration(ports, interfaces, audio.flows)
        after = plan_protection(before, audio.flows, [port["name"] for port in before["ports"]][:2])
        config = parse_config(yaml.safe_dump(after), "lab.yaml").config
        assert config.ports == parse_config(yaml.safe_dump(before), "lab.yaml").config.ports
        assert [route.name for route in config.routes] == ["protected"]
