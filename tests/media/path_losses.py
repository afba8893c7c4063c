# SPDX-License-Identifier: Apache-2.0
"""What is sent by the two paths of a capture, with which losses and skew, and what has to come out of it.

Computed by sets of numbers: nothing of the merge is used.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from appliance_process import Document
from two_paths import NEW_GROUP, NEW_MAC, RTP_AT, Sending, TwoPaths, load_paths, read_number

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "captures" / "ST2022-7-Audio.pcap"
NEEDS_CAPTURE = pytest.mark.skipif(
    not CAPTURE.exists(), reason=f"no {CAPTURE}; put the EBU LIST samples there"
)
FRAMES = 4000
STEP_NS = 125_000  # of the capture: 48 kHz, 6 samples a frame
MS = 1_000_000
# Class C below 270 Mb/s (ST 2022-7:2019): wide enough that a busy machine changes no count.
CLASS = {"class": "C", "bits_per_s": 5_000_000}
WINDOW_NS = 450 * MS
WITHIN_NS, BEYOND_NS = 350 * MS, 1000 * MS

Lost = Callable[[int], bool]


def nothing(_place: int) -> bool:
    return False


def one_in_ten(place: int) -> bool:
    return place % 10 == 3


def bursts(place: int) -> bool:
    return place % 50 < 20


def one_in_seven(place: int) -> bool:
    return place % 7 == 1


# Path A, path B: with the last pair 1 frame in 70 is lost on both.
LOSSES: dict[str, tuple[Lost, Lost]] = {
    "no loss": (nothing, nothing),
    "loss on A": (one_in_ten, nothing),
    "bursts on B": (nothing, bursts),
    "loss on A, B and both": (one_in_ten, one_in_seven),
}


@dataclass
class Sent:
    """What left by each path: its numbers. Both begin and end with the same one."""

    a: set[int]
    b: set[int]

    @property
    def all(self) -> int:
        """Numbers there were at the source."""
        both = self.a | self.b
        return max(both) - min(both) + 1


def inject(lab: TwoPaths, lost: tuple[Lost, Lost], skew_ns: int) -> Sent:
    """Send FRAMES of both paths, B `skew_ns` behind A, without those that are lost. The ends are not lost."""
    paths = load_paths(CAPTURE, FRAMES)
    sendings = [
        Sending(place * STEP_NS + path * skew_ns, path, frame)
        for path, frames in enumerate(paths)
        for place, frame in enumerate(frames.values())
        if place in (0, FRAMES - 1) or not lost[path](place)
    ]
    numbers = [
        {read_number(sending.frame) for sending in sendings if sending.path == path} for path in (0, 1)
    ]
    lab.send(sendings)
    return Sent(*numbers)


def check_frames(frames: list[bytes], wanted: set[int]) -> int:
    """Each wanted number once, and nothing else; to the new group. Returns how many came behind a newer one.

    The capture's IP checksums are 0, taken before a NIC filled them in: nothing can be told from them.
    """
    source = load_paths(CAPTURE, FRAMES)[0]
    assert sorted(map(read_number, frames)) == sorted(wanted)
    newest = behind = 0
    for frame in frames:
        number = read_number(frame)
        assert frame[RTP_AT:] == source[number][RTP_AT:]
        assert (frame[:6], frame[30:34]) == (NEW_MAC, socket.inet_aton(NEW_GROUP))
        behind += number < newest
        newest = max(newest, number)
    return behind


def read_port(document: Document, name: str) -> Document:
    record: Document = next(port for port in document["ports"] if port["name"] == name)
    return record


def load_path(path: int) -> list[bytes]:
    return list(load_paths(CAPTURE, FRAMES)[path].values())
