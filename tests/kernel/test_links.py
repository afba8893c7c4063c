# SPDX-License-Identifier: Apache-2.0
"""Interfaces go down, come back or vanish while the worker runs: other outputs must not notice, status must say so."""

from media_tools import MediaSource
from studio import RED_GROUP, Studio, check_all_arrived

VIDEO = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP)
EXPECTED = {"red": [RED_GROUP]}


def test_an_ingress_that_went_down_forwards_again_when_it_is_up(forwarding: Studio) -> None:
    worker = forwarding.appliance.worker_pid()
    for state in ("down", "up"):
        forwarding.net.run(forwarding.middle, ["ip", "link", "set", "in", state])
    sent, reports = forwarding.transmit(VIDEO, EXPECTED)
    check_all_arrived(sent, reports, ["red"])
    assert forwarding.appliance.worker_pid() == worker


def test_an_output_that_goes_down_does_not_disturb_the_other(forwarding: Studio) -> None:
    worker = forwarding.appliance.worker_pid()
    stream = forwarding.start_stream()
    for state in ("down", "up"):
        forwarding.net.run(forwarding.middle, ["ip", "link", "set", "blue", state])
        stream.wait_more()
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    assert forwarding.appliance.worker_pid() == worker


def test_an_output_that_vanishes_does_not_disturb_the_other(forwarding: Studio) -> None:
    worker = forwarding.appliance.worker_pid()
    stream = forwarding.start_stream(outputs=["red"])
    forwarding.net.remove_link(forwarding.middle, "blue")
    stream.wait_more()
    document = forwarding.appliance.wait_until(lambda status: bool(status["problems"]), "seeing the problem")
    assert any("blue" in problem for problem in document["problems"])
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    assert forwarding.appliance.worker_pid() == worker
    forwarding.appliance.stop()
    assert forwarding.appliance.exit_code == 0, forwarding.appliance.output()
