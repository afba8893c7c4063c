# SPDX-License-Identifier: Apache-2.0
"""The witness: every kind of damage is seen and named. It is done to capture files, without an interface."""

import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from capture_flows import iterate_frames, write_frames
from media_tools import Report, find_tool
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, IPv6
from scapy.layers.l2 import Ether

Frames = list[bytes]
VIDEO = ["--format", "1080p50", "--pictures", "2"]


@dataclass(frozen=True)
class Lab:
    """A source (options), its frames, and a folder to write to."""

    folder: Path
    source: list[str]
    frames: Frames
    expect: list[str]

    def judge(self, arrived: Frames, expect: list[str] | None = None) -> tuple[int, Report]:
        """Exit code and report of media-receive for these arrived frames."""
        path = self.folder / "arrived.pcap"
        write_frames(path, arrived)
        groups = self.expect if expect is None else expect
        filters = [part for group in groups for part in ("--expect", group)]
        command = [find_tool("media-receive"), "--read", str(path), *self.source, *filters]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        report: Report = json.loads(done.stdout.splitlines()[-1])
        check_sums(report)
        return done.returncode, report


def check_sums(report: Report) -> None:
    """Nothing is counted twice or forgotten."""
    judged = ("intact_frames", "duplicated_frames", "corrupt_frames", "stray_frames", "foreign_frames")
    assert report["received_frames"] == sum(report[name] for name in judged)
    assert report["expected_frames"] == report["intact_frames"] + report["missing_frames"]
    assert report["intact_frames"] == sum(flow["intact_frames"] for flow in report["flows"])


def datagram(group: str, number: int) -> bytes:
    payload = number.to_bytes(4, "big") * 5
    ether = Ether(dst="01:00:5e:01:02:03", src="02:00:00:00:00:01")
    return bytes(ether / IP(dst=group) / UDP(dport=6000) / payload)


@pytest.fixture(params=["video", "capture", "tagged video"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    if request.param == "capture":
        # Two flows interleaved; every fourth frame of the first is like the one before (silence in audio is).
        numbers = range(400)
        frames = [datagram(f"239.1.2.{1 + n % 2}", n - 2 if n % 8 == 2 else n) for n in numbers]
        write_frames(tmp_path / "source.pcap", frames)
        source = ["--capture", str(tmp_path / "source.pcap")]
        return Lab(tmp_path, source, frames, ["239.1.2.1", "239.1.2.2:6000"])
    source = [*VIDEO, "--vlan", "100", "--inner-vlan", "7"] if request.param == "tagged video" else VIDEO
    path = tmp_path / "source.pcap"
    subprocess.run([find_tool("media-send"), "--write", path, *source], check=True, capture_output=True)
    return Lab(tmp_path, source, [frame for _time_ns, frame in iterate_frames(path)], ["239.20.1.1"])


def test_all_of_it_passes(lab: Lab) -> None:
    code, report = lab.judge(lab.frames)
    assert code == 0
    assert report["passed"] is True
    assert report["intact_frames"] == report["expected_frames"] == len(lab.frames)
    assert report["first_fault"] == ""


def flip(frame: bytes, at: int) -> bytes:
    at %= len(frame)
    return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]


Damage = Callable[[Frames], Frames]


DAMAGES: dict[str, tuple[Damage, dict[str, int]]] = {
    "first missing": (lambda f: f[1:], {"missing": 1}),
    "last missing": (lambda f: f[:-1], {"missing": 1}),
    "five missing": (lambda f: f[:101] + f[106:], {"missing": 5}),
    "all missing": (lambda f: [], {"missing": -1}),
    "one twice": (lambda f: [*f[:101], f[100], *f[101:]], {"duplicated": 1}),
    "one twice, later": (lambda f: [*f, f[11]], {"duplicated": 1}),
    "one late by two": (lambda f: [*f[:100], f[101], f[102], f[100], *f[103:]], {"reordered": 1}),
    "one very late": (lambda f: [*f[:11], *f[12:], f[11]], {"reordered": 1}),
    "last byte": (lambda f: [*f[:51], flip(f[51], -1), *f[52:]], {"corrupt": 1, "missing": 1}),
    "one byte short": (lambda f: [*f[:51], f[51][:-1], *f[52:]], {"corrupt": 1, "missing": 1}),
    "one byte long": (lambda f: [*f[:51], f[51] + b"\0", *f[52:]], {"corrupt": 1, "missing": 1}),
    "source address": (lambda f: [*f[:51], flip(f[51], 6), *f[52:]], {"corrupt": 1, "missing": 1}),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_counted_by_kind(lab: Lab, name: str) -> None:
    damage, counts = DAMAGES[name]
    code, report = lab.judge(damage(lab.frames))
    assert code == 1
    assert report["passed"] is False
    kinds = ("missing", "duplicated", "reordered", "corrupt", "stray", "foreign")
    seen = {kind: report[f"{kind}_frames"] for kind in kinds if report[f"{kind}_frames"] != 0}
    assert seen == {kind: len(lab.frames) if number < 0 else number for kind, number in counts.items()}


def test_a_flow_that_is_not_expected_is_stray(lab: Lab) -> None:
    code, report = lab.judge(lab.frames, expect=[])
    assert code == 1
    assert report["stray_frames"] == len(lab.frames)
    assert report["first_stray"]["destination"].startswith("239.")


def test_nothing_expected_and_nothing_came_passes(lab: Lab) -> None:
    assert lab.judge([], expect=[])[0] == 0


def test_a_lost_or_changed_tag_makes_a_frame_stray(lab: Lab) -> None:
    if "--vlan" not in lab.source:
        tagged = [frame[:12] + bytes.fromhex("81000064") + frame[12:] for frame in lab.frames]
        changed = tagged
    else:
        changed = [frame[:12] + frame[16:] for frame in lab.frames]
    _code, report = lab.judge(changed)
    assert report["stray_frames"] == report["missing_frames"] == len(lab.frames)


def test_what_is_not_udp_is_foreign_and_no_fault(lab: Lab) -> None:
    chatter = [
        bytes(Ether(dst="33:33:00:00:00:02", src="02:00:00:00:00:09") / IPv6() / ICMPv6ND_RS()),
        bytes.fromhex("ffffffffffff020000000009") + bytes.fromhex("0806") + bytes(46),
        bytes(14),
    ]
    code, report = lab.judge([chatter[0], *lab.frames, *chatter[1:]])
    assert code == 0
    assert report["foreign_frames"] == 3


def test_random_damage_never_confuses_the_sums(lab: Lab) -> None:
    rng = random.Random(2110)
    for _round in range(10):
        arrived = [frame for frame in lab.frames if rng.random() > 0.02]
        for _change in range(20):
            at, other = rng.randrange(len(arrived)), rng.randrange(len(arrived))
            if rng.random() < 0.5:
                arrived.insert(at, arrived[other])
            else:
                frame = bytearray(arrived[at])
                frame[rng.randrange(len(frame))] = rng.randrange(256)
                arrived[at] = bytes(frame[: rng.randrange(14, len(frame) + 1)])
        lab.judge(arrived)


def test_an_expectation_the_source_cannot_meet_is_refused(lab: Lab) -> None:
    command = [find_tool("media-receive"), "--read", "/dev/null", *lab.source, "--expect", "239.9.9.9"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no flow of the source matches --expect" in done.stderr
