# SPDX-License-Identifier: Apache-2.0
"""The pcap reader against files made by hand, by scapy, and the real captures."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.capture import Frame, load_capture, parse_capture
from lab.errors import LabError
from lab.media import captures_folder

ROOT = Path(__file__).resolve().parents[2]
MAGIC = {
    ("micro", "<"): 0xA1B2C3D4,
    ("nano", "<"): 0xA1B23C4D,
    ("micro", ">"): 0xA1B2C3D4,
    ("nano", ">"): 0xA1B23C4D,
}


def render_capture(frames: list[Frame], unit: str = "micro", order: str = "<", link_type: int = 1) -> bytes:
    unit_ns = {"micro": 1_000, "nano": 1}[unit]
    content = struct.pack(order + "IHHiIII", MAGIC[unit, order], 2, 4, 0, 0, 262144, link_type)
    for frame in frames:
        seconds, rest_ns = divmod(frame.time_ns, 1_000_000_000)
        size = len(frame.data)
        content += struct.pack(order + "IIII", seconds, rest_ns // unit_ns, size, size) + frame.data
    return content


@pytest.mark.parametrize("order", ["<", ">"])
@given(
    frames=st.lists(st.builds(Frame, st.integers(0, 2**32 * 10**9 - 1), st.binary(max_size=80)), max_size=20)
)
def test_nanosecond_files_are_read_as_they_were_written(order: str, frames: list[Frame]) -> None:
    assert parse_capture(render_capture(frames, "nano", order), "x") == frames


@pytest.mark.parametrize("order", ["<", ">"])
def test_microseconds_become_nanoseconds(order: str) -> None:
    frame = Frame(1_700_000_000_123_456_000, b"abc")
    assert parse_capture(render_capture([frame], "micro", order), "x") == [frame]


def test_upper_bits_of_the_link_type_are_not_the_link_type() -> None:
    content = render_capture([Frame(0, b"a")], link_type=1 | 0x1400_0000)
    assert parse_capture(content, "x") == [Frame(0, b"a")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "0 bytes"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "not a pcap magic"),
        (render_capture([], link_type=113), "link type 113"),
        (render_capture([Frame(0, b"abcd")])[:-1], "cut in frame 1"),
        (render_capture([Frame(0, b"abcd"), Frame(0, b"")])[:-1], "cut in the header of frame 2"),
    ],
)
def test_damaged_files_are_refused_by_name(content: bytes, says: str) -> None:
    with pytest.raises(LabError, match=f"some.pcap: .*{says}"):
        parse_capture(content, "some.pcap")


def test_a_frame_that_was_not_captured_whole_is_refused() -> None:
    content = bytearray(render_capture([Frame(0, b"abcd")]))
    struct.pack_into("<I", content, 24 + 12, 9)
    with pytest.raises(LabError, match="frame 1 has 4 of 9 bytes"):
        parse_capture(bytes(content), "x")


@pytest.mark.parametrize("name", ["250mbps-JPEGXS.pcap", "ST2022-7-Audio.pcap", "2110-40_5994i.pcap"])
def test_real_captures_read_as_scapy_reads_them(name: str) -> None:
    path = captures_folder(ROOT) / name
    if not path.is_file():
        pytest.skip(f"{path} is missing; put the EBU LIST captures there or set CAPTURES_DIR")
    from scapy.utils import RawPcapReader

    with RawPcapReader(str(path)) as reader:
        assert [frame.data for frame in load_capture(path)] == [bytes(data) for data, _ in reader]
