# SPDX-License-Identifier: Apache-2.0
"""The cable's end against a unix socket that speaks QEMU's framing, with real sockets and threads."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.capture import Frame
from lab.errors import LabError
from lab.wire import IN_FLIGHT_FRAMES, Window, Wire, replay, split_stream, wait_quiet


def framed(*frames: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(1, 7))
def test_frames_are_found_however_the_stream_is_cut(frames: list[bytes], piece: int) -> None:
    stream, buffer, found = framed(*frames), bytearray(), []
    for at in range(0, len(stream), piece):
        buffer += stream[at : at + piece]
        found += split_stream(buffer)
    assert found == frames
    assert not buffer


def test_an_impossible_length_is_no_frame() -> None:
    with pytest.raises(LabError, match="framing is lost"):
        split_stream(bytearray(b"\xff\xff\xff\xff"))


@pytest.fixture
def cables(tmp_path: Path) -> Iterator[list[tuple[Wire, socket.socket]]]:
    """Two cables: this end and QEMU's of each."""
    with contextlib.ExitStack() as stack:
        pairs = []
        for name in ("red", "blue"):
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(tmp_path / name))
            server.listen()
            wire = stack.enter_context(Wire(tmp_path / name))
            pairs.append((wire, stack.enter_context(server.accept()[0])))
        yield pairs


@pytest.fixture
def cable(cables: list[tuple[Wire, socket.socket]]) -> tuple[Wire, socket.socket]:
    return cables[0]


def forward(source: socket.socket, target: socket.socket, most_under_way: list[int]) -> None:
    """A guest that forwards whole batches, slowly, and notes how many frames it was handed at once."""
    buffer = bytearray()
    while chunk := source.recv(1 << 20):
        buffer += chunk
        frames = split_stream(buffer)
        most_under_way.append(len(frames))
        time.sleep(0.005)
        target.sendall(framed(*frames))


def test_replay_sends_every_frame_in_order_no_faster_and_no_more_at_once(
    cables: list[tuple[Wire, socket.socket]],
) -> None:
    (red, red_guest), (blue, blue_guest) = cables
    frames = [Frame(index * 10_000, index.to_bytes(4, "big") * 3) for index in range(1000)]
    under_way: list[int] = []
    guest = threading.Thread(target=forward, args=(red_guest, blue_guest, under_way))
    guest.start()
    took_s, held_s = replay(red, blue, frames, slowdown=2.0)
    wait_quiet([blue], len(frames), idle_s=30, quiet_s=0.05)
    red.close()
    guest.join(timeout=30)
    assert blue.take() == [frame.data for frame in frames]
    assert took_s >= 999 * 10_000 * 2 / 1e9
    assert 0 <= held_s <= took_s
    assert max(under_way) <= IN_FLIGHT_FRAMES


def test_lost_frames_hold_the_sender_back_only_for_its_patience(
    cables: list[tuple[Wire, socket.socket]],
) -> None:
    blue, _ = cables[1]
    window = Window(blue, limit_frames=2, patience_s=0.05)
    window.wait(2)
    assert window.held_s >= 0.05
    window.wait(3)  # the two lost ones no longer count


def test_what_the_guest_sends_is_collected_and_taken_once(cable: tuple[Wire, socket.socket]) -> None:
    wire, far_end = cable
    far_end.sendall(framed(b"one", b"two"))
    wait_quiet([wire], wanted_frames=2, idle_s=30, quiet_s=0.05)
    assert wire.take() == [b"one", b"two"]
    assert wire.take() == []


def test_waiting_ends_when_frames_stay_away(cable: tuple[Wire, socket.socket]) -> None:
    wire, far_end = cable
    far_end.sendall(framed(b"one"))
    wait_quiet([wire], wanted_frames=2, idle_s=0.2, quiet_s=0.01)
    assert wire.take() == [b"one"]


def test_a_cable_that_qemu_closed_is_a_failure_not_silence(cable: tuple[Wire, socket.socket]) -> None:
    wire, far_end = cable
    far_end.close()
    end = time.monotonic() + 30
    while wire.problem is None and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(LabError, match="QEMU closed the cable"):
        wait_quiet([wire], wanted_frames=0, idle_s=0.01, quiet_s=0.01)


def test_a_missing_cable_says_where(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no cable at .*gone\.sock"):
        Wire(tmp_path / "gone.sock")
