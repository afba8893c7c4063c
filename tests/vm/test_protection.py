# SPDX-License-Identifier: Apache-2.0
"""What the lab expects of a merge, on patterns small enough to count by hand."""

from pathlib import Path

import yaml
from lab.inventory import plan_configuration
from lab.media import WANTED, Flow, Media, generate_frames, load_media
from lab.nics import MEDIA_MACS, Ports
from lab.protection import (
    CASES,
    FRAMES,
    WITHIN_NS,
    Case,
    Sent,
    compare,
    plan_protected,
    read_number,
    split_paths,
)

from appliance.config.load import parse_config

AUDIO = next(wanted for wanted in WANTED if len(wanted.flows) == 2)
PATHS = split_paths(Media("audio", "generated", generate_frames(AUDIO)))


def test_paths_have_the_same_numbers() -> None:
    one, other = PATHS.values()
    assert list(one) == list(other) == list(range(FRAMES))


def test_what_is_expected() -> None:
    sent = Sent({1, 2, 3, 6}, {1, 3, 4, 6}, late=False)
    assert sent.expect() == {
        "a received": 4,
        "b received": 4,
        "a lost": 2,
        "b lost": 2,
        "b late": 0,
        "forwarded": 5,
        "merged": 3,
        "lost on both": 1,
    }
    late = Sent({1, 2, 3, 6}, {1, 3, 4, 6}, late=True).expect()
    assert (late["forwarded"], late["merged"], late["b late"], late["b lost"], late["lost on both"]) == (
        4,
        0,
        4,
        6,
        2,
    )


def test_frames_are_compared() -> None:
    sent = Sent({0, 1}, {1, 2}, late=False)
    frames = [PATHS[flow][number] for number, flow in enumerate([*PATHS, *PATHS][:3])]
    assert compare(frames, Case("in order"), sent, PATHS)[0]
    assert not compare(frames[::-1], Case("in order"), sent, PATHS)[0]
    assert compare(frames[::-1], Case("skewed", skew_ns=WITHIN_NS), sent, PATHS)[0]
    assert not compare([*frames, frames[0]], Case("twice"), sent, PATHS)[0]
    assert not compare(frames[1:], Case("missing"), sent, PATHS)[0]
    assert not compare([frames[0], frames[1][:-1] + b"!", frames[2]], Case("changed"), sent, PATHS)[0]


def test_cases_lose_something_everywhere() -> None:
    lost_a, lost_b = (
        {place for place in range(FRAMES) if case(place)} for case in (CASES[3].lost_a, CASES[3].lost_b)
    )
    assert lost_a & lost_b
    assert lost_a - lost_b
    assert lost_b - lost_a


def test_the_guest_would_take_it(tmp_path: Path) -> None:
    (audio,) = [one for one in load_media(tmp_path) if len(one.flows) == 2]
    interfaces = {mac: f"ens{place}" for place, mac in enumerate(MEDIA_MACS)}
    for ports in Ports:
        before = plan_configuration(ports, interfaces, audio.flows)
        after = plan_protected(before, "audio", audio.flows, *(port["name"] for port in before["ports"]))
        config = parse_config(yaml.safe_dump(after), "lab.yaml").config
        assert config.ports == parse_config(yaml.safe_dump(before), "lab.yaml").config.ports
        assert [route.name for route in config.routes] == ["audio"]


def test_the_plan_keeps_the_ports() -> None:
    before = {"version": 1, "ports": [{"name": "red"}], "routes": [{"name": "old"}]}
    planned = plan_protected(before, "new", [Flow("239.1.2.1", 6000), Flow("239.1.2.2", 6000)], "red", "blue")
    assert planned["ports"] == before["ports"]
    assert [route["name"] for route in planned["routes"]] == ["new"]
    assert read_number(next(iter(PATHS.values()))[7]) == 7
