# SPDX-License-Identifier: Apache-2.0
"""Media through the true loop: the two paths of a capture merged to one, with losses that the test injects."""

import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.fastpath import (
    FrameKey,
    LoopWorker,
    Match,
    MemoryPort,
    MergeConfig,
    Output,
    Region,
    Route,
    RouteMedia,
    RouteTable,
    StateSegment,
    plan_slots,
)
from appliance.telemetry import MediaIndex, MergeIndex
from appliance.telemetry.media import read_protected

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
CAPTURE = CAPTURES / "ST2022-7-Audio.pcap"
PATHS = ("239.1.2.1", "239.1.2.2")
SLOTS = 256
WINDOW_NS = 2**30  # the longest: this test is at the mercy of the machine's clock
OUT = 2
RTP_AT = 14 + 20 + 8

Lost = Callable[[int], bool]


def iterate_frames(path: Path) -> Iterator[bytes]:
    """The frames of a classic little endian pcap file."""
    data = path.read_bytes()
    assert data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    at = 24
    while at < len(data):
        (captured,) = struct.unpack_from("<8xI", data, at)
        yield data[at + 16 : at + 16 + captured]
        at += 16 + captured


def load_paths() -> list[tuple[int, bytes]]:
    """(path, frame) in the order of the capture; path A is 0."""
    return [(PATHS.index(str(ip_address(frame[30:34]))), frame) for frame in iterate_frames(CAPTURE)]


def number_of(frame: bytes) -> int:
    return int.from_bytes(frame[RTP_AT + 2 : RTP_AT + 4], "big")


class MergeRig:
    """Ports 0 and 1 bring the paths of the capture, port 2 takes the one flow."""

    def __init__(self, folder: Path, state: StateSegment, region: Region) -> None:
        self.state = state
        self.ports = [MemoryPort.create(f"m{index}", region, SLOTS) for index in range(3)]
        self.worker = LoopWorker(state)
        for index, port in enumerate(self.ports):
            self.worker.add_port(port, f"m{index}")
        with RouteTable(2) as table:
            table.add_merge(9, MergeConfig(id=77, window_ns=WINDOW_NS, slots=plan_slots(WINDOW_NS, 8000)))
            for index, group in enumerate(PATHS):
                match = Match.exact(FrameKey(index, ip_address(group), 6000))
                media = RouteMedia(rtp=True, merge=9, path="AB"[index])
                table.add(Route(match, (Output(OUT),), index, media=media))
            state.publish(table, 1, bytes(32))
        self.worker.turn()

    def close(self) -> None:
        self.worker.close()
        for port in self.ports:
            port.close()

    def send(self, path: int, frame: bytes) -> list[bytes]:
        self.ports[path].inject(frame)
        self.worker.turn()
        return self.ports[OUT].collect_all()


@pytest.fixture
def rig(tmpfs: Path) -> Iterator[MergeRig]:
    with StateSegment.create(tmpfs / "media") as state, Region(8 * SLOTS, 2048) as region:
        opened = MergeRig(tmpfs, state, region)
        try:
            yield opened
        finally:
            opened.close()


def nothing(_number: int) -> bool:
    return False


@pytest.mark.skipif(not CAPTURE.exists(), reason=f"no {CAPTURE}; put the EBU LIST samples there")
@pytest.mark.parametrize(
    ("lost_a", "lost_b"),
    [
        (nothing, nothing),
        (lambda number: number % 10 == 3, nothing),
        (nothing, lambda number: number % 50 < 20),
        (lambda number: number % 10 == 3, lambda number: number % 7 == 1),
    ],
    ids=["no loss", "on A", "bursts on B", "on A, B and both"],
)
def test_two_paths_of_a_capture_become_one(rig: MergeRig, lost_a: Lost, lost_b: Lost) -> None:
    """Exactly one copy of each frame that one path brought, order kept, every loss counted."""
    frames = load_paths()
    lost = (lost_a, lost_b)
    kept = [(path, frame) for path, frame in frames if not lost[path](number_of(frame))]
    out = [gone for path, frame in kept for gone in rig.send(path, frame)]
    sent = sorted({number_of(frame) for _, frame in frames})
    assert sent[-1] - sent[0] == len(sent) - 1, "the capture has no wrap and no loss"
    kept_a, kept_b = ([number_of(frame) for to, frame in kept if to == path] for path in (0, 1))
    assert [number_of(frame) for frame in out] == sorted({*kept_a, *kept_b})
    assert {frame[RTP_AT:] for frame in out} <= {frame[RTP_AT:] for _, frame in frames}
    ports = [rig.state.read_port(index) for index in range(2)]
    assert [port.received_frames for port in ports] == [len(kept_a), len(kept_b)]
    assert sum(port.forwarded_frames for port in ports) == len(out)
    assert sum(port.merged_frames for port in ports) == len(kept_a) + len(kept_b) - len(out)
    assert [sum(port.dropped_frames.values()) for port in ports] == [0, 0]
    rig.state.request_stop()
    rig.worker.run()  # its end publishes the counters of all merges
    (merge,) = read_protected(rig.state, "main", MediaIndex(protected={"audio": MergeIndex(9, 77)}))
    assert merge.a.received_frames == len(kept_a)
    assert merge.a.forwarded_frames + merge.b.forwarded_frames == len(out)
    assert merge.a.merged_frames + merge.b.merged_frames == len(kept_a) + len(kept_b) - len(out)
    for counter, numbers in enumerate((kept_a, kept_b)):
        seen = rig.state.read_observed(counter)
        assert seen.frames == len(numbers)
        assert seen.lost_frames == numbers[-1] - numbers[0] + 1 - len(numbers)
