# SPDX-License-Identifier: Apache-2.0
"""Frames cross the appliance between real interfaces: unchanged, on the right outputs, and all accounted for."""

import random
import time
from pathlib import Path

import pytest
from capture_flows import load_flows, write_frames
from media_tools import MediaSource
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from studio import BLUE_GROUP, DEFAULT_ROUTES, RED_GROUP, UDP_PORT, RouteLine, Studio, check_all_arrived

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
NO_CAPTURES = pytest.mark.skip(reason=f"no captures in {CAPTURES}; put the EBU LIST samples there")
REAL_CAPTURES = [pytest.param(path, id=path.name) for path in sorted(CAPTURES.glob("*.pcap"))] or [
    pytest.param(None, marks=NO_CAPTURES)
]
RED_VIDEO = MediaSource(format="1080p50", seconds=0.5, group=RED_GROUP)


def write_mixed_capture(path: Path, frames: int = 3000) -> None:
    """Two groups in turn, lengths from the shortest to the longest frame, random bytes (fixed seed)."""
    rng = random.Random(1588)
    headers = [
        bytes(Ether(dst="01:00:5e:14:01:01", src="02:00:00:00:00:05") / IP(dst=group) / UDP(dport=UDP_PORT))
        for group in (RED_GROUP, BLUE_GROUP)
    ]
    sizes = [0, 18, 1472, *(rng.randrange(1472) for _ in range(frames - 3))]
    written = []
    for number, size in enumerate(sizes):
        header = bytearray(headers[number % 2])
        header[16:18] = (28 + size).to_bytes(2, "big")
        header[38:40] = (8 + size).to_bytes(2, "big")
        written.append(bytes(header) + rng.randbytes(size))
    write_frames(path, written, step_ns=100_000)


def test_a_capture_leaves_on_the_right_output_only(forwarding: Studio, tmp_path: Path) -> None:
    write_mixed_capture(tmp_path / "mixed.pcap")
    source = MediaSource(capture=tmp_path / "mixed.pcap")
    sent, reports = forwarding.transmit(source, {"red": [RED_GROUP], "blue": [BLUE_GROUP]})
    assert sent == 3000
    for report in reports.values():
        assert report["intact_frames"] == 1500
        assert report["passed"] is True, report
    ingress = forwarding.ingress()
    assert ingress["received_frames"] == ingress["forwarded_frames"] == 3000


@pytest.mark.parametrize("wait", ["poll", "busy", "adaptive"])
def test_video_at_real_time_loses_nothing(studio: Studio, wait: str) -> None:
    studio.wait = wait
    studio.start()
    sent, reports = studio.transmit(RED_VIDEO, {"red": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red"])
    ingress = studio.ingress()
    assert ingress["received_frames"] == ingress["forwarded_frames"] == sent == 25 * 4320


def test_fan_out_to_two_outputs(studio: Studio) -> None:
    studio.start([RouteLine(RED_GROUP, ["red", "blue"])])
    sent, reports = studio.transmit(RED_VIDEO, {"red": [RED_GROUP], "blue": [RED_GROUP]}, speed=0.5)
    check_all_arrived(sent, reports, ["red", "blue"])
    assert studio.ingress()["forwarded_frames"] == sent  # a frame counts once, however many outputs took it


@pytest.mark.parametrize(("vlan", "inner_vlan"), [(100, None), (100, 200)])
def test_vlan_tags_choose_the_route_and_stay_on_the_frame(
    studio: Studio, vlan: int, inner_vlan: int | None
) -> None:
    # The other VLAN's and the untagged route would show as stray frames on blue.
    others = [RouteLine(RED_GROUP, ["blue"]), RouteLine(RED_GROUP, ["blue"], vlan=vlan + 1)]
    others += [RouteLine(RED_GROUP, ["blue"], vlan=vlan)] if inner_vlan is not None else []
    studio.start([RouteLine(RED_GROUP, ["red"], vlan=vlan, inner_vlan=inner_vlan), *others])
    source = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP, vlan=vlan, inner_vlan=inner_vlan)
    sent, reports = studio.transmit(source, {"red": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red"])


def test_what_no_route_takes_is_dropped_with_its_reason(forwarding: Studio, tmp_path: Path) -> None:
    ether = Ether(dst="01:00:5e:14:01:01", src="02:00:00:00:00:05")
    routed = ether / IP(dst=RED_GROUP) / UDP(dport=UDP_PORT) / b"media"
    frames = {
        "no_route": [
            bytes(ether / IP(dst="239.20.1.3") / UDP(dport=UDP_PORT) / b"other group"),
            bytes(ether / IP(dst=RED_GROUP) / UDP(dport=UDP_PORT + 1) / b"other port"),
            bytes(ether / Dot1Q(vlan=5) / IP(dst=RED_GROUP) / UDP(dport=UDP_PORT) / b"tagged"),
            bytes(ether / IPv6(dst="ff3e::1") / UDP(dport=UDP_PORT) / b"IPv6"),
        ],
        "not_ip": [bytes(ether)[:12] + b"\x08\x06" + bytes(46)],
        "not_udp": [bytes(ether / IP(dst=RED_GROUP, proto=6) / bytes(40))],
        "fragment": [bytes(ether / IP(dst=RED_GROUP, flags="MF") / UDP(dport=UDP_PORT) / bytes(64))],
        "truncated": [bytes(routed)[:40]],
    }
    path = tmp_path / "mixed.pcap"
    write_frames(
        path, [bytes(routed), *(frame for group in frames.values() for frame in group), bytes(routed)]
    )
    source = MediaSource(capture=path)
    witnesses = forwarding.listen(source, {"red": [f"{RED_GROUP}:{UDP_PORT}"]})
    forwarding.send(source).report()
    reports = {output: witness.finish(1.0) for output, witness in witnesses.items()}
    assert {output: report["received_frames"] for output, report in reports.items()} == {"red": 2, "blue": 0}
    ingress = forwarding.ingress()
    dropped = {reason: count for reason, count in ingress["dropped_frames"].items() if count}
    assert dropped == {reason: len(group) for reason, group in frames.items()}
    assert ingress["received_frames"] == ingress["forwarded_frames"] + sum(dropped.values())


@pytest.mark.parametrize("path", REAL_CAPTURES)
def test_a_real_capture_crosses_unchanged(studio: Studio, path: Path) -> None:
    flows = load_flows(path)
    outputs = {flow: ("red", "blue")[place % 2] for place, flow in enumerate(flows)}
    studio.start([RouteLine(flow.group, [output], flow.udp_port) for flow, output in outputs.items()])
    expected = {name: [flow.group for flow in flows if outputs[flow] == name] for name in ("red", "blue")}
    sent, reports = studio.transmit(MediaSource(capture=path), expected)
    assert (
        sent
        == sum(flow.frames for flow in flows)
        == sum(report["intact_frames"] for report in reports.values())
    )
    assert all(report["passed"] for report in reports.values()), reports


def read_cpu_ticks(pid: int) -> int:
    """User and system time of a process, in clock ticks (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def measure_idle_ticks(studio: Studio, wait: str, span_s: float = 1.5) -> int:
    """CPU time the worker spends in `span_s` without a frame."""
    studio.wait = wait
    studio.start(DEFAULT_ROUTES)
    pid = studio.appliance.worker_pid()
    before = read_cpu_ticks(pid)
    time.sleep(span_s)
    spent = read_cpu_ticks(pid) - before
    studio.appliance.stop()
    return spent


def test_an_idle_worker_sleeps(studio: Studio) -> None:
    busy, adaptive = (measure_idle_ticks(studio, wait) for wait in ("busy", "adaptive"))
    assert busy > 20  # else this machine gave the busy worker no CPU, and the comparison says nothing
    assert adaptive * 10 < busy
