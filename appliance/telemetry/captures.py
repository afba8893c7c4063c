# SPDX-License-Identifier: Apache-2.0
"""Samples of routes' frames out of the workers' state segments, and as a capture file."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from appliance.fastpath import Captured, StateSegment, count_captured, read_captured
from appliance.fastpath.names import CAPTURE_BYTES, CAPTURE_SLOTS
from appliance.telemetry.moments import measure_offset_ns

# pcap-savefile(5): nanoseconds, version 2.4, LINKTYPE_ETHERNET.
_MAGIC_NS, _VERSION, _ETHERNET = 0xA1B23C4D, (2, 4), 1
_NS_PER_S = 1_000_000_000


@dataclass
class CaptureReader:
    """One worker's captured frames, from the oldest there is on. `routes`: counter → name of those wanted."""

    state: StateSegment
    routes: Mapping[int, str]
    written_over: int = 0
    """Frames of any route that went before they were read."""

    def __post_init__(self) -> None:
        # What was written over before the first look is nobody's loss.
        self._next = max(0, count_captured(self.state) - CAPTURE_SLOTS)

    def read_new(self) -> Iterator[tuple[str, Captured]]:
        """(Route, frame) of what came since the last call; the oldest of it may be gone already."""
        count = count_captured(self.state)
        oldest = max(self._next, count - CAPTURE_SLOTS)
        self.written_over += oldest - self._next
        self._next = count
        for number in range(oldest, count):
            frame = read_captured(self.state, number)
            if frame is None:
                self.written_over += 1
            elif frame.counter in self.routes:
                yield self.routes[frame.counter], frame


class PcapWriter:
    """A capture file with nanoseconds; times are CLOCK_REALTIME as of now."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offset_ns = measure_offset_ns()
        file.write(struct.pack("=IHHiIII", _MAGIC_NS, *_VERSION, 0, 0, CAPTURE_BYTES, _ETHERNET))

    def write(self, frame: Captured) -> None:
        """One record; `orig_len` tells how long a shortened frame was."""
        seconds, nanoseconds = divmod(frame.time_ns + self._offset_ns, _NS_PER_S)
        self._file.write(struct.pack("=IIII", seconds, nanoseconds, len(frame.data), frame.length_bytes))
        self._file.write(frame.data)
