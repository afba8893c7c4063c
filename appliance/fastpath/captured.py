# SPDX-License-Identifier: Apache-2.0
"""Frames of routes with `mirror`, as they lie in a worker's state segment."""

from dataclasses import dataclass

from appliance.fastpath._native import ffi, lib
from appliance.fastpath.state import StateSegment


@dataclass(frozen=True, slots=True)
class Captured:
    """`struct fp_captured`: a frame as it came in; `data` is its beginning where it is longer than CAPTURE_BYTES."""

    time_ns: int  # CLOCK_MONOTONIC, of the turn it was taken in: frames of one burst share it
    length_bytes: int  # Ethernet header on, FCS off
    counter: int  # of its route
    port: int  # index of the port it came in on
    data: bytes


def count_captured(state: StateSegment) -> int:
    """How many frames were captured so far: the next one's number. The last CAPTURE_SLOTS can be read."""
    with state.use() as pointer:
        return lib.fp_state_count_captured(pointer)


def read_captured(state: StateSegment, number: int) -> Captured | None:
    """Frame `number`; None where it was written over or is not there yet."""
    out = ffi.new("struct fp_captured *")
    with state.use() as pointer:
        if not lib.fp_state_read_captured(pointer, number, out):
            return None
    data = bytes(ffi.buffer(out.bytes, out.captured_bytes))
    return Captured(out.time_ns, out.length_bytes, out.counter, out.port, data)
