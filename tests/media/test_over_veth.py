# SPDX-License-Identifier: Apache-2.0
"""Sender and witness over real interfaces, without an appliance: what they say can be trusted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_net import LabNet, Namespace, reason_not_available
from media_tools import MediaSource, start_receiver, start_sender

_REASON = reason_not_available()
pytestmark = [pytest.mark.kernel, pytest.mark.skipif(_REASON is not None, reason=str(_REASON))]

VIDEO = MediaSource(format="1080p50", seconds=0.4)
GROUP = [VIDEO.group]


@pytest.fixture
def net() -> Iterator[LabNet]:
    with LabNet("veth") as lab:
        yield lab


@pytest.fixture
def pair(net: LabNet) -> tuple[Namespace, Namespace]:
    """Sender and receiver, joined by out0 and in0."""
    sender, receiver = net.add_namespace("sender"), net.add_namespace("receiver")
    net.connect(sender, "out0", receiver, "in0")
    return sender, receiver


@pytest.mark.parametrize("speed", [1.0, 0.0])
@pytest.mark.parametrize(("vlan", "inner_vlan"), [(None, None), (100, None), (100, 4094)])
def test_every_frame_arrives(
    net: LabNet, pair: tuple[Namespace, Namespace], vlan: int | None, inner_vlan: int | None, speed: float
) -> None:
    sender, receiver = pair
    source = MediaSource(format="1080p50", seconds=0.4, vlan=vlan, inner_vlan=inner_vlan)
    witness = start_receiver(net, receiver, "in0", source, GROUP)
    sent = start_sender(net, sender, "out0", source, speed=speed).report()
    seen = witness.finish()
    assert sent["sent_frames"] == seen["intact_frames"] == 20 * 4320
    assert seen["passed"] is True
    assert witness.exit_code == 0


def test_frames_a_bridge_floods_are_stray_where_nothing_is_expected(net: LabNet) -> None:
    sender, bridge, receiver = (net.add_namespace(role) for role in ("sender", "bridge", "receiver"))
    net.run(bridge, ["ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"])
    net.run(bridge, ["ip", "link", "set", "br0", "up"])
    for left, left_name, port in (
        (sender, "out0", "in"),
        (receiver, "red", "red"),
        (receiver, "blue", "blue"),
    ):
        net.connect(left, left_name, bridge, port)
        net.run(bridge, ["ip", "link", "set", port, "master", "br0"])
    red = start_receiver(net, receiver, "red", VIDEO, GROUP)
    blue = start_receiver(net, receiver, "blue", VIDEO, [])
    sent = start_sender(net, sender, "out0", VIDEO).report()
    assert red.finish()["passed"] is True
    seen = blue.finish(patience_s=0.5)
    assert seen["passed"] is False
    assert seen["stray_frames"] == sent["sent_frames"]


def test_loss_in_the_witness_itself_is_told_apart(net: LabNet, pair: tuple[Namespace, Namespace]) -> None:
    sender, receiver = pair
    source = MediaSource(format="1080p50", seconds=1.5)
    witness = start_receiver(net, receiver, "in0", source, GROUP)
    witness.suspend()
    sent = start_sender(net, sender, "out0", source, speed=0).report()
    witness.resume()
    seen = witness.finish()
    assert seen["passed"] is False
    assert seen["witness_dropped_frames"] > 0
    assert seen["witness_dropped_frames"] + seen["intact_frames"] == sent["sent_frames"]
    assert seen["corrupt_frames"] == seen["reordered_frames"] == 0


def test_leaving_the_lab_ends_what_runs_in_it(net: LabNet, pair: tuple[Namespace, Namespace]) -> None:
    witness = start_receiver(net, pair[1], "in0", VIDEO, GROUP)
    assert len(net.process_ids(pair[1])) == 1
    net.close()
    assert witness.report()["ended_by"] == "signal"
    assert not [path for path in Path("/run/netns").iterdir() if path.name in {end.name for end in pair}]
