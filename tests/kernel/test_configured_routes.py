# SPDX-License-Identifier: Apache-2.0
"""Rewrites, drops, defaults and cross-connects of the configuration between real interfaces."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from capture_flows import iterate_frames, write_frames
from media_tools import MediaSource
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from studio import BLUE_GROUP, RED_GROUP, UDP_PORT, Studio

NOISE_GROUP = "239.20.1.3"
NEW_GROUP = "239.148.1.9"
NEW_MAC = "01:00:5e:14:01:09"  # 23 bits of the group: RFC 1112, 6.4
FRAMES = 1000


def configure(studio: Studio, **sections: Any) -> str:
    """The studio's ports with other sections."""
    document = yaml.safe_load(studio.config([]))
    return yaml.safe_dump(document | sections, sort_keys=False)


def write_capture(path: Path, build: Callable[[bytes], Packet]) -> MediaSource:
    """The same payloads in every capture (fixed seed), headers by `build`; scapy computes checksums."""
    rng = random.Random(2110)
    frames = [bytes(build(rng.randbytes(20 + number % 1400))) for number in range(FRAMES)]
    write_frames(path, frames, step_ns=100_000)
    return MediaSource(capture=path)


def build_sent(payload: bytes, group: str = RED_GROUP) -> Packet:
    ethernet = Ether(dst="01:00:5e:14:01:01", src="02:00:00:00:00:05")
    return ethernet / IP(dst=group, src="192.0.2.5", ttl=9) / UDP(sport=5000, dport=UDP_PORT) / Raw(payload)


def build_rewritten(payload: bytes) -> Packet:
    ethernet = Ether(dst=NEW_MAC, src="02:00:00:00:00:07")
    ip = IP(dst=NEW_GROUP, src="198.51.100.7", ttl=8, tos=34 << 2)
    return ethernet / ip / UDP(sport=5000, dport=7000) / Raw(payload)


def test_one_in_two_out_one_of_them_rewritten(studio: Studio, tmp_path: Path) -> None:
    """What comes out is byte for byte what scapy builds, checksums included; the other copy is as it was sent."""
    rewritten = {
        "port": "red", "group": NEW_GROUP, "source": "198.51.100.7", "source_mac": "02:00:00:00:00:07",
        "udp_port": 7000, "dscp": 34, "ttl": "decrement",
    }  # fmt: skip
    match = {"port": "in", "group": "239.20.0.0/16", "source": "192.0.2.5", "udp_port": UDP_PORT}
    studio.appliance.start(
        configure(studio, routes=[{"name": "nat", "match": match, "outputs": [rewritten, "blue"]}])
    )
    sent = write_capture(tmp_path / "sent.pcap", build_sent)
    wanted = write_capture(tmp_path / "wanted.pcap", build_rewritten)
    witnesses = studio.listen(wanted, {"red": [NEW_GROUP]}, ["red"]) | studio.listen(
        sent, {"blue": [RED_GROUP]}, ["blue"]
    )
    assert studio.send(sent).report()["sent_frames"] == FRAMES
    for output, witness in witnesses.items():
        report = witness.finish(5.0)
        assert (report["passed"], report["intact_frames"]) == (True, FRAMES), f"{output}: {report}"
    (route,) = studio.appliance.status().document["routes"]
    assert (route["name"], route["to"], route["frames"]) == ("nat", "red, blue", FRAMES)


def test_a_cross_connect_takes_what_no_route_takes(studio: Studio, tmp_path: Path) -> None:
    """Two ports as by a cable, but for a group that is dropped and one that goes elsewhere."""

    def build_mixed(payload: bytes) -> Packet:
        return build_sent(payload, (RED_GROUP, BLUE_GROUP, NOISE_GROUP)[len(payload) % 3])

    studio.appliance.start(
        configure(
            studio,
            cross_connects=[{"name": "cable", "ports": ["in", "red"]}],
            routes=[
                {"name": "noise", "match": {"port": "in", "group": NOISE_GROUP}, "drop": True},
                {"name": "other", "match": {"port": "in", "group": BLUE_GROUP}, "outputs": ["blue"]},
            ],
        )
    )
    mixed = write_capture(tmp_path / "mixed.pcap", build_mixed)
    counts = [sum((20 + number % 1400) % 3 == rest for number in range(FRAMES)) for rest in range(3)]
    sent, reports = studio.transmit(mixed, {"red": [RED_GROUP], "blue": [BLUE_GROUP]})
    assert sent == FRAMES
    assert [reports[output]["intact_frames"] for output in ("red", "blue")] == counts[:2]
    assert studio.ingress()["dropped_frames"]["by_route"] == counts[2]
    seen = {
        route["name"]: (route["to"], route["frames"])
        for route in studio.appliance.status().document["routes"]
    }
    assert seen == {
        "noise": ("drop", counts[2]),
        "other": ("blue", counts[1]),
        "cable in to red": ("red", counts[0]),
        "cable red to in": ("in", 0),
    }


def read_tx_frames(studio: Studio, name: str) -> int:
    """What the appliance has sent to an output so far."""
    document = studio.appliance.status().document
    return int(next(port["transmitted_frames"] for port in document["ports"] if port["name"] == name))


def test_a_switch_of_three_ports_learns_who_is_where(studio: Studio) -> None:
    """Camera and receiver ping each other through it: the third port sees who asks for whom, then nothing."""
    studio.appliance.start(
        configure(studio, cross_connects=[{"name": "floor", "ports": ["in", "red", "blue"], "learn": True}])
    )
    # Red and blue end in one namespace: each answers for its own address only.
    studio.net.run(studio.receiver, ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"])
    studio.net.run(studio.camera, ["ip", "address", "add", "10.77.0.1/24", "dev", "out0"])
    studio.net.run(studio.receiver, ["ip", "address", "add", "10.77.0.2/24", "dev", "red"])
    studio.net.run(studio.camera, ["ping", "-q", "-c", "2", "-i", "0.2", "-W", "5", "10.77.0.2"])
    studio.appliance.wait_until(lambda _: read_tx_frames(studio, "blue") > 0, "flooding the first question")
    flooded, known = (read_tx_frames(studio, name) for name in ("blue", "red"))
    studio.net.run(studio.camera, ["ping", "-q", "-c", "20", "-i", "0.02", "-W", "5", "10.77.0.2"])
    studio.appliance.wait_until(lambda _: read_tx_frames(studio, "red") >= known + 20, "counting the pings")
    assert read_tx_frames(studio, "blue") == flooded
    names = {route["name"] for route in studio.appliance.status().document["routes"]}
    assert names == {"floor in to others", "floor red to others", "floor blue to others"}


def test_a_mirrored_route_can_be_captured(studio: Studio, tmp_path: Path) -> None:
    """The last frames of a route out of the running appliance: byte for byte and in the order they were sent."""
    match = {"port": "in", "group": RED_GROUP, "udp_port": UDP_PORT}
    routes = [
        {"name": "video", "match": match, "outputs": [{"port": "red", "udp_port": 7000}], "mirror": 4},
        {"name": "other", "match": match | {"group": BLUE_GROUP}, "outputs": ["blue"]},
    ]
    studio.appliance.start(configure(studio, routes=routes))
    refused = studio.appliance.run("capture", "-o", str(tmp_path / "no.pcap"), "other")
    assert (refused.returncode, (tmp_path / "no.pcap").exists()) == (2, False), refused.stderr
    assert "those that have: video" in refused.stderr
    sent = write_capture(tmp_path / "sent.pcap", build_sent)
    assert studio.send(sent).report()["sent_frames"] == FRAMES
    studio.appliance.wait_until(
        lambda seen: any(route["frames"] == FRAMES for route in seen["routes"]), "counting all frames"
    )
    seen = tmp_path / "seen.pcap"
    done = studio.appliance.run("capture", "-o", str(seen))
    assert (done.returncode, done.stderr) == (0, f"appliance: {FRAMES // 4} of video\n")
    frames = [frame for _, frame in iterate_frames(tmp_path / "sent.pcap")]
    assert [frame for _, frame in iterate_frames(seen)] == frames[3::4]
