# SPDX-License-Identifier: Apache-2.0
"""One end of a guest NIC's cable: QEMU's `-netdev stream` on a unix socket, frames with a length before each.

QEMU stops reading the socket while the guest's receive ring is full, but its e1000 still loses frames then: what
QEMU had read already is delivered to the few slots the guest just gave back, and the rest is "missed" (hw/net/e1000.c
against qemu_net_queue_flush). So no more frames are under way at a time than any of the NICs' rings holds.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.capture import Frame
from lab.errors import LabError

_LENGTH = struct.Struct(">I")
# net/net.h: NET_BUFSIZE, the longest frame QEMU accepts. Anything longer: the stream lost its framing.
_LONGEST_FRAME_BYTES = 4096 + 65536
_RECEIVE_BYTES = 1 << 20
# Half of the smallest receive ring among the lab's NICs (256 slots in e1000, e1000e and virtio-net).
IN_FLIGHT_FRAMES = 128


def split_stream(buffer: bytearray) -> list[bytes]:
    """Take every whole frame off the front of `buffer`; what is left is the start of the next one."""
    frames = []
    at = 0
    while at + _LENGTH.size <= len(buffer):
        (length_bytes,) = _LENGTH.unpack_from(buffer, at)
        if length_bytes > _LONGEST_FRAME_BYTES:
            raise LabError(f"QEMU's stream announced a frame of {length_bytes} bytes; framing is lost")
        if at + _LENGTH.size + length_bytes > len(buffer):
            break
        at += _LENGTH.size
        frames.append(bytes(buffer[at : at + length_bytes]))
        at += length_bytes
    del buffer[:at]
    return frames


class Wire:
    """A connected cable end. A thread collects everything the guest sends, all the time, into `received`.

    But for frames `divert` takes (it returns True): they are somebody else's, on the same cable.
    """

    def __init__(self, path: Path, divert: Callable[[bytes], bool] = lambda _frame: False) -> None:
        self._divert = divert
        self._sending = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise LabError(f"no cable at {path}: {error.strerror}; is the guest running?") from error
        self.received: list[bytes] = []
        self.problem: str | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._collect, name=f"wire {path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Pull the cable and end the thread."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Hand one frame to the guest's NIC; waits while the guest takes none."""
        with self._sending:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def take(self) -> list[bytes]:
        """Everything received since the last call."""
        frames = self.received[:]
        del self.received[: len(frames)]  # in place: the thread appends to this same list
        return frames

    def _collect(self) -> None:
        buffer = bytearray()
        try:
            while chunk := self._socket.recv(_RECEIVE_BYTES):
                buffer += chunk
                self.received.extend(frame for frame in split_stream(buffer) if not self._divert(frame))
            self.problem = None if self._closing else "QEMU closed the cable"
        except (OSError, LabError) as error:
            self.problem = None if self._closing else f"receiving failed: {error}"


class Window:
    """Holds the sender back while `limit_frames` are under way: sent into one wire and not yet out of the other.

    Frames that never come must not stop the sender for ever: after `patience_s` without any, they count as lost
    here too (the comparison finds them), and sending goes on.
    """

    def __init__(self, leaves: Wire, limit_frames: int = IN_FLIGHT_FRAMES, patience_s: float = 2.0) -> None:
        self._leaves = leaves
        self._limit_frames = limit_frames
        self._patience_s = patience_s
        self._given_up = 0
        self.held_s = 0.0
        """Seconds the sender was held back: the guest was slower than the timestamps."""

    def wait(self, sent: int) -> None:
        """Return when one more frame may follow the `sent` ones."""
        start = since = time.monotonic()
        count = len(self._leaves.received)
        while sent - self._given_up - count >= self._limit_frames:
            time.sleep(0.0002)
            now_count = len(self._leaves.received)
            if now_count != count:
                count, since = now_count, time.monotonic()
            elif time.monotonic() - since > self._patience_s:
                self._given_up = sent - count
                # Where most frames are lost, do not wait as long for every window.
                self._patience_s = max(self._patience_s / 4, 0.02)
        self.held_s += time.monotonic() - start


def replay(enters: Wire, leaves: Wire, frames: Sequence[Frame], slowdown: float) -> tuple[float, float]:
    """Send `frames` into one wire at the pace of their timestamps, `slowdown` times slower.

    Late frames go at once, as far as the window allows. Returns the seconds it took and those held back by it.
    """
    window = Window(leaves)
    start_ns = time.monotonic_ns()
    first_ns = frames[0].time_ns if frames else 0
    for sent, frame in enumerate(frames):
        due_ns = start_ns + int((frame.time_ns - first_ns) * slowdown)
        # Sleeping costs about 60 us; what is due sooner goes now: the mean rate is right, bursts are short.
        ahead_ns = due_ns - time.monotonic_ns()
        if ahead_ns > 200_000:
            time.sleep(ahead_ns / 1e9)
        window.wait(sent)
        enters.send(frame.data)
    return (time.monotonic_ns() - start_ns) / 1e9, window.held_s


def wait_quiet(wires: Sequence[Wire], wanted_frames: int, idle_s: float, quiet_s: float) -> None:
    """Wait until the wires received `wanted_frames` together or nothing for `idle_s`, then `quiet_s` more.

    The time after the last wanted frame is for what must not come: duplicates and strangers.
    """
    count, since = -1, time.monotonic()
    while True:
        now_count = sum(len(wire.received) for wire in wires)
        if now_count != count:
            count, since = now_count, time.monotonic()
        if time.monotonic() - since > (quiet_s if count >= wanted_frames else idle_s):
            break
        time.sleep(0.02)
    for wire in wires:
        if wire.problem:
            raise LabError(f"cable: {wire.problem}")
