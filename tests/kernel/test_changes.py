# SPDX-License-Identifier: Apache-2.0
"""Configuration changes while frames flow: by generation, whole or not at all, never by a restart."""

from media_tools import MediaSource
from studio import BLUE_GROUP, DEFAULT_ROUTES, RED_GROUP, RouteLine, Studio, check_all_arrived

VIDEO = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP)
EXPECTED = {"red": [RED_GROUP]}


def test_routes_change_while_frames_flow(forwarding: Studio) -> None:
    appliance = forwarding.appliance
    worker = appliance.worker_pid()
    stream = forwarding.start_stream()
    for number in range(3):
        extra = [RouteLine(f"239.20.9.{host}", ["blue"]) for host in range(number * 50, number * 50 + 50)]
        done = appliance.apply(forwarding.config([*DEFAULT_ROUTES, *extra]))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().endswith(f"changed: generation {number + 2}")
        stream.wait_more()
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    (record,) = appliance.status().document["workers"]
    assert (record["pid"], record["generation"], record["published"], record["restarts"]) == (worker, 4, 4, 0)


def test_a_moved_route_moves_every_later_frame(forwarding: Studio) -> None:
    sent, reports = forwarding.transmit(VIDEO, {"red": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red"])
    done = forwarding.appliance.apply(forwarding.config([RouteLine(RED_GROUP, ["blue"])]))
    assert done.returncode == 0, done.stderr
    sent, reports = forwarding.transmit(VIDEO, {"blue": [RED_GROUP]})
    check_all_arrived(sent, reports, ["blue"])


def test_applying_the_same_again_changes_nothing(forwarding: Studio) -> None:
    done = forwarding.appliance.apply(forwarding.config())
    assert done.returncode == 0
    assert done.stdout.strip().endswith("unchanged: generation 1")


def test_a_refused_configuration_keeps_the_old_one_forwarding(forwarding: Studio) -> None:
    appliance = forwarding.appliance
    stream = forwarding.start_stream()
    good = forwarding.config()
    refused = {
        good.replace(f"group: {BLUE_GROUP}", "group: 192.0.2.9"): "192.0.2.9 is not a multicast address",
        good.replace("- blue", "- green"): "green",
        good + "surprise: 1\n": "surprise",
        good.replace("udp_port: 20000", "udp_port: many"): "udp_port",
        forwarding.config([*DEFAULT_ROUTES, RouteLine(RED_GROUP, ["blue"])]): RED_GROUP,
    }
    for text, words in refused.items():
        done = appliance.apply(text)
        assert done.returncode == 3, done.stdout + done.stderr
        assert words in done.stderr
        assert "config.yaml:" in done.stderr
    assert appliance.status().document["generation"]["active"] == 1
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])


def test_a_change_of_ports_is_refused_unless_a_restart_is_allowed(forwarding: Studio) -> None:
    appliance = forwarding.appliance
    worker = appliance.worker_pid()
    del forwarding.devices["blue"]
    text = forwarding.config([RouteLine(RED_GROUP, ["red"])])
    done = appliance.apply(text)
    assert done.returncode == 5
    assert "--allow-restart" in done.stderr
    assert appliance.worker_pid() == worker

    done = appliance.apply(text, "--allow-restart")
    assert done.returncode == 0, done.stderr
    assert appliance.worker_pid() != worker
    assert [port["name"] for port in appliance.status().document["ports"]] == ["in", "red"]
    sent, reports = forwarding.transmit(VIDEO, EXPECTED)
    check_all_arrived(sent, reports, ["red"])
