# SPDX-License-Identifier: Apache-2.0
"""Between xdp: ports of one worker frames change hands by buffer, never by copy; status says so beforehand."""

from media_tools import MediaSource
from studio import BLUE_GROUP, RED_GROUP, RouteLine, Studio, check_all_arrived

VIDEO = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP)


def test_frames_between_xdp_ports_are_swapped(forwarding: Studio) -> None:
    sent, reports = forwarding.transmit(VIDEO, {"red": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red"])
    ports = {port["name"]: port for port in forwarding.appliance.status().document["ports"]}
    for name, port in ports.items():
        assert sorted(port["swaps_with"]) == sorted(ports.keys() - {name})
        assert port["region"] == ports["in"]["region"]
        assert port["copied_frames"] == 0
        assert port["swapped_frames"] == port["transmitted_frames"]
    assert ports["red"]["swapped_frames"] == sent


def test_only_further_outputs_cost_a_copy(studio: Studio) -> None:
    studio.start([RouteLine(RED_GROUP, ["red", "blue"]), RouteLine(BLUE_GROUP, ["blue"])])
    sent, reports = studio.transmit(VIDEO, {"red": [RED_GROUP], "blue": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red", "blue"])
    ports = {port["name"]: port for port in studio.appliance.status().document["ports"]}
    outputs = [ports["red"], ports["blue"]]
    assert sum(port["swapped_frames"] for port in outputs) == sent
    assert sum(port["copied_frames"] for port in outputs) == sent
