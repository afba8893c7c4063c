# SPDX-License-Identifier: Apache-2.0
"""Ports lost under load come back by themselves; the flow beside them loses no frame; status tells the story."""

import json
import os
import time
from typing import Any

import pytest
from media_tools import MediaSource
from studio import BLUE_GROUP, Studio, check_all_arrived

BLUE_VIDEO = MediaSource(format="1080p50", seconds=0.2, group=BLUE_GROUP)


def wait_for_port(studio: Studio, name: str, state: str, outages: int) -> dict[str, Any]:
    """The port's record once it is in `state` with `outages` behind it."""

    def seen(status: dict[str, Any]) -> bool:
        port = next(port for port in status["ports"] if port["name"] == name)
        return bool(port["state"] == state and port["outages"] == outages)

    document = studio.appliance.wait_until(seen, f"seeing {name} {state}")
    return next(port for port in document["ports"] if port["name"] == name)


def check_blue_forwards(studio: Studio) -> None:
    sent, reports = studio.transmit(BLUE_VIDEO, {"blue": [BLUE_GROUP]})
    check_all_arrived(sent, reports, ["blue"])


@pytest.mark.parametrize("times", [3])
def test_an_interface_made_again_forwards_again(forwarding: Studio, times: int) -> None:
    """Deleted and made again while red flows: red loses nothing, blue is back each time."""
    worker = forwarding.appliance.worker_pid()
    stream = forwarding.start_stream(outputs=["red"])
    for outage in range(1, times + 1):
        began_ns = time.time_ns()
        forwarding.net.remove_link(forwarding.middle, "blue")
        gone = wait_for_port(forwarding, "blue", "gone", outage)
        assert began_ns <= gone["since_ns"] <= time.time_ns()
        stream.wait_more()
        forwarding.net.connect(forwarding.middle, "blue", forwarding.receiver, "blue")
        back = wait_for_port(forwarding, "blue", "up", outage)
        assert (back["reopened"], back["open_error"]) == (outage, None)
        stream.wait_more()
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    check_blue_forwards(forwarding)
    assert forwarding.appliance.worker_pid() == worker


def test_the_story_is_told_while_a_port_is_gone(forwarding: Studio) -> None:
    forwarding.net.remove_link(forwarding.middle, "blue")
    gone = wait_for_port(forwarding, "blue", "gone", 1)
    document = forwarding.appliance.wait_until(lambda status: bool(status["problems"]), "seeing the problem")
    (problem,) = document["problems"]
    assert problem.startswith("port blue of worker main: xdp:blue is gone since ")
    assert "outage 1" in problem
    assert "the port returns by itself" in problem
    assert wait_for_port(forwarding, "blue", "gone", 1)["since_ns"] == gone["since_ns"], (
        "gone is one state, not two"
    )
    forwarding.net.connect(forwarding.middle, "blue", forwarding.receiver, "blue")
    wait_for_port(forwarding, "blue", "up", 1)
    forwarding.appliance.wait_until(lambda status: not status["problems"], "being well again", timeout_s=30)


def test_a_peer_that_stops_is_no_link_and_harms_nobody(forwarding: Studio) -> None:
    stream = forwarding.start_stream(outputs=["red"])
    for outage in (1, 2):
        forwarding.net.run(forwarding.receiver, ["ip", "link", "set", "blue", "down"])
        wait_for_port(forwarding, "blue", "no_link", outage)
        stream.wait_more()
        forwarding.net.run(forwarding.receiver, ["ip", "link", "set", "blue", "up"])
        assert wait_for_port(forwarding, "blue", "up", outage)["reopened"] == 0
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    check_blue_forwards(forwarding)


def test_a_flapping_output_with_frames_of_its_own_harms_nobody(forwarding: Studio) -> None:
    """Both flows run; blue's link goes down and up ten times."""
    stream = forwarding.start_stream(outputs=["red"])
    blue = MediaSource(format="1080p50", seconds=60.0, group=BLUE_GROUP)
    noise = forwarding.send(blue, speed=0.05)
    for outage in range(1, 11):
        forwarding.net.run(forwarding.middle, ["ip", "link", "set", "blue", "down"])
        wait_for_port(forwarding, "blue", "down", outage)
        forwarding.net.run(forwarding.middle, ["ip", "link", "set", "blue", "up"])
        wait_for_port(forwarding, "blue", "up", outage)
    noise.stop()
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    check_blue_forwards(forwarding)


def test_the_port_returns_without_a_daemon(forwarding: Studio) -> None:
    """Law 1: the daemon is dead, the worker brings its port back alone; `appliance status` still tells."""
    worker = forwarding.appliance.worker_pid()
    forwarding.appliance.kill_daemon()
    stream = forwarding.start_stream(outputs=["red"])
    forwarding.net.remove_link(forwarding.middle, "blue")
    stream.wait_more()
    assert _read_port(forwarding, "blue")["state"] == "gone"
    forwarding.net.connect(forwarding.middle, "blue", forwarding.receiver, "blue")
    stream.wait_more()
    end_s = time.monotonic() + 20
    while _read_port(forwarding, "blue")["state"] != "up":
        assert time.monotonic() < end_s, "the port did not return"
    assert _read_port(forwarding, "blue")["reopened"] == 1
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    os.kill(worker, 0)


def _read_port(studio: Studio, name: str) -> dict[str, Any]:
    document = studio.appliance.status().document
    assert document is not None, json.dumps(studio.appliance.output())
    return next(port for port in document["ports"] if port["name"] == name)


def test_an_interface_made_again_has_its_settings_again(forwarding: Studio) -> None:
    """Offloads the port needs off are off, and the interface is up, though it was made with its defaults."""
    forwarding.net.remove_link(forwarding.middle, "blue")
    wait_for_port(forwarding, "blue", "gone", 1)
    pair = ["type", "veth", "peer", "name", "blue", "netns", forwarding.receiver.name]
    forwarding.net.run(forwarding.middle, ["ip", "link", "add", "blue", *pair])
    forwarding.net.run(forwarding.receiver, ["ip", "link", "set", "blue", "up"])
    wait_for_port(forwarding, "blue", "up", 1)
    features = forwarding.net.run(forwarding.middle, ["ethtool", "-k", "blue"])
    assert "rx-vlan-offload: off" in features
    assert "generic-receive-offload: off" in features
    check_blue_forwards(forwarding)
