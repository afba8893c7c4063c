# SPDX-License-Identifier: Apache-2.0
"""Frames of a true loop over memory ports, mirrored, read and written as a capture that scapy reads."""

import io
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import RawPcapReader

from appliance.fastpath import FrameKey, LoopWorker, MemoryPort, Output, Region, RouteTable, StateSegment
from appliance.fastpath import Match as TableMatch
from appliance.fastpath import Route as TableRoute
from appliance.fastpath.names import CAPTURE_BYTES, CAPTURE_SLOTS
from appliance.telemetry.captures import CaptureReader, PcapWriter

GROUPS = ("239.1.1.1", "239.1.1.2")


def build_frame(group: str, number: int, payload_bytes: int = 100) -> bytes:
    payload = number.to_bytes(4, "big") + bytes(payload_bytes - 4)
    return bytes(
        Ether(dst="01:00:5e:01:01:01") / IP(dst=group, src="192.0.2.1") / UDP(dport=5000) / Raw(payload)
    )


class Loop:
    """Two routes, counters 3 and 4; the first mirrors every frame, the second every other one."""

    def __init__(self, state: StateSegment, worker: LoopWorker, ports: list[MemoryPort]) -> None:
        self.state, self._worker, self._ports = state, worker, ports
        routes = [
            TableRoute(
                TableMatch.exact(FrameKey(0, IPv4Address(group), 5000)),
                (Output(1),),
                3 + index,
                mirror=1 + index,
            )
            for index, group in enumerate(GROUPS)
        ]
        with RouteTable.build(routes) as table:
            state.publish(table, 1, bytes(32))
        worker.turn()

    def send(self, group: str, *numbers: int, payload_bytes: int = 100) -> list[bytes]:
        frames = [build_frame(group, number, payload_bytes) for number in numbers]
        for frame in frames:
            self._ports[0].inject(frame)
            while self._worker.turn():
                pass
            while self._ports[1].collect() is not None:
                pass
        return frames


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with (
        Region(256, 4096) as region,
        StateSegment.create(tmp_path / "state") as state,
        MemoryPort.create("a", region, 64) as one,
        MemoryPort.create("b", region, 64) as other,
        LoopWorker(state) as worker,
    ):
        for name, port in (("a", one), ("b", other)):
            worker.add_port(port, name)
        yield Loop(state, worker, [one, other])


def test_what_was_mirrored_is_in_the_capture(loop: Loop) -> None:
    began_ns = time.time_ns()
    red = loop.send(GROUPS[0], 1, 2, 3)
    blue = loop.send(GROUPS[1], *range(6))
    long = loop.send(GROUPS[0], 4, payload_bytes=3000)
    reader = CaptureReader(loop.state, {3: "red", 4: "blue"})
    file = io.BytesIO()
    writer = PcapWriter(file)
    names = []
    for name, frame in reader.read_new():
        names.append(name)
        writer.write(frame)
    assert names == ["red"] * 3 + ["blue"] * 3 + ["red"]
    file.seek(0)
    records = list(RawPcapReader(file))
    assert [data for data, _ in records] == [*red, *blue[1::2], long[0][:CAPTURE_BYTES]]
    assert records[-1][1].wirelen == len(long[0])
    for _, seen in records:
        assert began_ns - 1_000_000 <= seen.sec * 1_000_000_000 + seen.usec <= time.time_ns() + 1_000_000
    assert list(reader.read_new()) == []
    assert reader.written_over == 0


def test_routes_nobody_asked_for_are_left_out(loop: Loop) -> None:
    loop.send(GROUPS[0], 1)
    wanted = loop.send(GROUPS[1], 1, 2)
    assert [frame.data for _, frame in CaptureReader(loop.state, {4: "blue"}).read_new()] == wanted[1:]


def test_who_comes_late_is_told_only_of_later_losses(loop: Loop) -> None:
    sent = loop.send(GROUPS[0], *range(CAPTURE_SLOTS + 10))
    reader = CaptureReader(loop.state, {3: "red"})
    assert [frame.data for _, frame in reader.read_new()] == sent[10:]
    assert reader.written_over == 0
    sent = loop.send(GROUPS[0], *range(CAPTURE_SLOTS + 7))
    assert [frame.data for _, frame in reader.read_new()] == sent[7:]
    assert reader.written_over == 7
