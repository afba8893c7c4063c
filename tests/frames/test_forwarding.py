# SPDX-License-Identifier: Apache-2.0
"""Forwarding through the true loop: each case of the contract once, without luck."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from appliance.fastpath import FrameKey, NativeError, Route, names

from .frame_builder import build_media_frame
from .rig import Rig

GROUP = IPv4Address("239.1.2.1")
GROUP_V6 = IPv6Address("ff3e::1")
FRAME = build_media_frame(GROUP, 6000, bytes(range(256)) * 5)


def route_to(
    *outputs: int, counter: int = 0, vlan: int | None = None, inner_vlan: int | None = None
) -> Route:
    return Route.exact(FrameKey(0, GROUP, 6000, vlan, inner_vlan), outputs, counter)


def test_before_the_first_table_every_frame_has_no_route(tmpfs: Path) -> None:
    with Rig(tmpfs / "state", [0, 0], 16, [2048]) as rig:
        assert rig.inject(0, FRAME)
        assert rig.turn() == 1
        rig.check_account()
        assert rig.state.read_port(0).dropped_frames["no_route"] == 1


@pytest.mark.parametrize("outputs", range(1, 9))
def test_fan_out_swaps_once_and_copies_the_rest(tmpfs: Path, outputs: int) -> None:
    with Rig(tmpfs / "state", [0] * (outputs + 1), 16, [2048]) as rig:
        rig.publish([route_to(*range(1, outputs + 1))])
        assert rig.inject(0, FRAME)
        rig.turn()
        rig.check_account()
        counters = [rig.state.read_port(index) for index in range(outputs + 1)]
        assert sum(port.swapped_frames for port in counters) == 1
        assert sum(port.copied_frames for port in counters) == outputs - 1
        assert rig.collect() == [[], *[[FRAME]] * outputs]


def test_ports_of_two_regions_copy(tmpfs: Path) -> None:
    with Rig(tmpfs / "state", [0, 1], 16, [2048, 2048]) as rig:
        assert rig.state.read_port_info(0).region != rig.state.read_port_info(1).region
        rig.publish([route_to(1)])
        assert rig.inject(0, FRAME)
        rig.turn()
        assert (rig.state.read_port(1).swapped_frames, rig.state.read_port(1).copied_frames) == (0, 1)
        rig.check_outputs()


def test_back_out_of_the_port_it_came_in_on(tmpfs: Path) -> None:
    with Rig(tmpfs / "state", [0], 16, [2048]) as rig:
        rig.publish([route_to(0)])
        assert rig.inject(0, FRAME)
        rig.turn()
        rig.check_account()
        assert rig.collect() == [[FRAME]]


def test_a_match_is_exact_in_every_field(tmpfs: Path) -> None:
    plain = build_media_frame(GROUP, 6000, b"media")
    single = build_media_frame(GROUP, 6000, b"media", [(0x8100, 100)])
    double = build_media_frame(GROUP, 6000, b"media", [(0x88A8, 100), (0x8100, 200)])
    other_port = build_media_frame(GROUP, 6001, b"media")
    v6 = build_media_frame(GROUP_V6, 6000, b"media")
    with Rig(tmpfs / "state", [0] * 6, 16, [2048]) as rig:
        rig.publish(
            [
                route_to(1),
                route_to(2, counter=1, vlan=100),
                route_to(3, counter=2, vlan=100, inner_vlan=200),
                Route.exact(FrameKey(0, GROUP_V6, 6000), (4,), 3),
                Route.exact(FrameKey(5, GROUP, 6000), (4,), 4),
            ]
        )
        for frame in (plain, single, double, other_port, v6):
            assert rig.inject(0, frame)
        rig.turn()
        rig.check_account()
        assert rig.collect() == [[], [plain], [single], [double], [v6], []]
        assert rig.state.read_port(0).dropped_frames["no_route"] == 1
        assert rig.state.read_route(2).bytes == len(double)


def test_a_full_output_takes_nothing_from_the_others(tmpfs: Path) -> None:
    slots, first = 16, build_media_frame(GROUP, 6000, b"first")
    with Rig(tmpfs / "state", [0, 0, 0], slots, [2048]) as rig:
        rig.publish([route_to(1)])
        for _ in range(slots - 1):
            assert rig.inject(0, first)
        rig.run_dry()
        rig.turn()  # gives the receive slots back
        rig.publish([route_to(1, 2)])
        for _ in range(3):
            assert rig.inject(0, FRAME)
        rig.run_dry()
        rig.check_account()
        assert rig.state.read_port(0).forwarded_frames == slots - 1 + 3
        assert rig.state.read_port(1).tx_full_frames == 3
        assert rig.collect() == [[], [first] * (slots - 1), [FRAME] * 3]


def test_no_output_with_a_free_slot_is_a_drop(tmpfs: Path) -> None:
    slots = 16
    with Rig(tmpfs / "state", [0, 0], slots, [2048]) as rig:
        rig.publish([route_to(1)])
        for _ in range(2):
            for _ in range(slots - 1):
                assert rig.inject(0, FRAME)
            rig.run_dry()
            rig.turn()
        rig.check_account()
        assert rig.state.read_port(0).dropped_frames["tx_full"] == slots - 1
        rig.check_outputs()
        rig.turn()
        assert rig.inject(0, FRAME)
        rig.turn()
        rig.check_outputs()


def test_an_idle_turn_takes_sent_slots_back(tmpfs: Path) -> None:
    slots = 16
    with Rig(tmpfs / "state", [0, 0], slots, [2048]) as rig:
        rig.publish([route_to(1)])
        for frames in (slots // 2 - 1, slots - 1, 1, slots - 1):
            for _ in range(frames):
                assert rig.inject(0, FRAME)
            rig.run_dry()
            assert rig.collect()[1] == [FRAME] * frames
            rig.turn()
        rig.check_account()


def test_longer_than_the_output_buffer_is_a_drop(tmpfs: Path) -> None:
    jumbo = build_media_frame(GROUP, 6000, bytes(3000))
    with Rig(tmpfs / "state", [1, 0, 1], 16, [2048, 4096]) as rig:
        rig.publish([route_to(1)])
        assert rig.inject(0, jumbo)
        rig.turn()
        rig.publish([route_to(1, 2)])
        assert rig.inject(0, jumbo)
        rig.turn()
        rig.check_account()
        assert rig.state.read_port(0).dropped_frames["too_long"] == 1
        assert rig.state.read_port(1).tx_too_long_frames == 2
        assert rig.collect() == [[], [], [jumbo]]


def test_a_turn_is_bounded(tmpfs: Path) -> None:
    with Rig(tmpfs / "state", [0, 0], 1024, [2048]) as rig:
        rig.publish([route_to(1)])
        for _ in range(names.TURN_FRAMES + 100):
            assert rig.inject(0, FRAME)
        assert rig.turn() == names.TURN_FRAMES
        assert rig.turn() == 100
        rig.check_account()
        rig.check_outputs()


def test_generations_change_under_traffic_without_a_lost_frame(tmpfs: Path) -> None:
    count = 200
    with Rig(tmpfs / "state", [0, 0, 0], 64, [2048]) as rig:
        for generation in range(1, count + 1):
            output = 1 + generation % 2
            rig.publish([route_to(output)])
            assert rig.state.read_worker().published == generation
            frames = [
                build_media_frame(GROUP, 6000, bytes((generation % 256, number))) for number in range(5)
            ]
            for frame in frames:
                assert rig.inject(0, frame)
            rig.turn()
            assert rig.state.read_worker().generation == generation
            outputs = rig.collect()
            assert outputs[output] == frames
            assert outputs[3 - output] == []
            rig.turn()
        assert rig.state.read_port(0).forwarded_frames == 5 * count
        assert rig.state.read_route(0).frames == 5 * count
        rig.check_account()


def test_a_pending_generation_refuses_the_next(tmpfs: Path) -> None:
    with Rig(tmpfs / "state", [0, 0], 16, [2048]) as rig:
        rig.publish([route_to(1)])
        with pytest.raises(NativeError) as refused:
            rig.publish([route_to(0)])
        assert refused.value.code == names.E_NOT_ACKNOWLEDGED
        assert rig.state.read_worker().published == 1
        rig.turn()
        assert rig.state.read_worker().generation == 1


@pytest.mark.parametrize(
    "route", [route_to(7), Route.exact(FrameKey(7, GROUP, 6000), (0,), 0)], ids=["output", "match"]
)
def test_a_table_naming_a_port_the_worker_has_not_is_refused(tmpfs: Path, route: Route) -> None:
    with Rig(tmpfs / "state", [0, 0], 16, [2048]) as rig:
        with pytest.raises(NativeError) as refused:
            rig.publish([route])
        assert refused.value.code == names.E_INVALID
        assert rig.state.read_worker().published == 0


def test_a_generation_that_is_not_newer_is_refused(tmpfs: Path) -> None:
    with Rig(tmpfs / "state", [0, 0], 16, [2048]) as rig:
        rig.publish([route_to(1)])
        rig.turn()
        rig.generation = 0
        with pytest.raises(NativeError) as refused:
            rig.publish([route_to(0)])
        assert refused.value.code == names.E_INVALID
