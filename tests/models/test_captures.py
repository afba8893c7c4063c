# SPDX-License-Identifier: Apache-2.0
"""The observers on captures no one in this project made, beside counts made here from the bytes."""

import struct
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from .observer_process import RtpFrame, observe, observe_frames
from .pacing_model import Anchor, Format, Sender, cinst_levels, judge_vrx
from .rtp_model import RtpModel, signed

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"
FILES = sorted(CAPTURES.glob("*.pcap"))
NO_CAPTURES = pytest.mark.skip(reason=f"no captures in {CAPTURES}; put the EBU LIST samples there")
FLOWS = {
    "ST2022-7-Audio.pcap": ["239.1.2.1", "239.1.2.2"],
    "250mbps-JPEGXS.pcap": ["224.2.1.1"],
    "l24_48000_8ch_0125.pcap": ["239.32.37.1"],
    "2110-40_5994i.pcap": ["239.40.144.1"],
}


def iterate_rtp(path: Path) -> Iterator[tuple[str, RtpFrame]]:
    """(group, frame) of every RTP frame over IPv4 in a classic pcap file."""
    data = path.read_bytes()
    scale = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[int.from_bytes(data[:4], "little")]
    at = 24
    while at < len(data):
        seconds, fraction, captured, length = struct.unpack_from("<4I", data, at)
        frame, at = data[at + 16 : at + 16 + captured], at + 16 + captured
        ip = 18 if frame[12:14] == b"\x81\x00" else 14
        if frame[ip - 2 : ip] != b"\x08\x00" or frame[ip + 9] != 17:
            continue
        rtp = ip + (frame[ip] & 15) * 4 + 8
        marker_type, number, timestamp, ssrc = struct.unpack_from(">xBHII", frame, rtp)
        now_ns = seconds * 10**9 + fraction * scale
        group = ".".join(map(str, frame[ip + 16 : ip + 20]))
        yield group, RtpFrame(now_ns, number, timestamp, ssrc, marker_type >= 128, length)


def load_flow(name: str, group: str) -> list[RtpFrame]:
    return [frame for to, frame in iterate_rtp(CAPTURES / name) if to == group]


def extend(frames: list[RtpFrame]) -> list[int]:
    """Numbers without their wraps; right where no two neighbours are half a wrap apart."""
    numbers = [frames[0].number]
    for frame in frames[1:]:
        numbers.append(numbers[-1] + signed(frame.number - numbers[-1], 16))
    return numbers


@pytest.mark.parametrize(
    ("name", "group"),
    [(name, group) for name, groups in FLOWS.items() for group in groups]
    if FILES
    else [pytest.param("", "", marks=NO_CAPTURES)],
)
def test_rtp_counters_of_a_capture(name: str, group: str) -> None:
    frames = load_flow(name, group)
    numbers = extend(frames)
    model = RtpModel()
    for frame in frames:
        model.take(frame)
    seen = observe(["arrivals", *(frame.event for frame in frames), "read"])[-1]
    rtp = seen["rtp"]
    assert {key: rtp[key] for key in model.counters()} == model.counters()
    assert rtp["frames"] == len(frames) > 80
    assert rtp["lost_frames"] == max(numbers) - numbers[0] + 1 - len(set(numbers))
    assert rtp["duplicated_frames"] == len(numbers) - len(set(numbers))
    assert rtp["pictures"] == sum(frame.marker for frame in frames)
    assert (rtp["first_ns"], rtp["last_ns"]) == (frames[0].now_ns, frames[-1].now_ns)
    assert rtp["bytes"] == sum(frame.length_bytes for frame in frames)
    begins = [0, 1, *(2 ** (bucket + 4) for bucket in range(2, 24))]
    gaps_ns = [max(0, later.now_ns - sooner.now_ns) for sooner, later in pairwise(frames)]
    wanted = Counter(sum(gap_ns >= begin for begin in begins) - 1 for gap_ns in gaps_ns)
    assert seen["arrivals"] == [wanted[bucket] for bucket in range(24)]


@pytest.mark.skipif(not FILES, reason=f"no captures in {CAPTURES}; put the EBU LIST samples there")
@pytest.mark.parametrize("sender", list(Sender))
@pytest.mark.parametrize("anchor", list(Anchor))
def test_pacing_of_compressed_video(sender: Sender, anchor: Anchor) -> None:
    """ST 2110-22 has the same models (ST 2110-22, 5.3); the picture's frames and rate are read off the capture."""
    frames = load_flow("250mbps-JPEGXS.pcap", "224.2.1.1")
    numbers = extend(frames)
    assert numbers == list(range(numbers[0], numbers[0] + len(frames)))
    markers = [index for index, frame in enumerate(frames) if frame.marker]
    packets = {later - sooner for sooner, later in pairwise(markers)}
    ticks = [
        signed(frames[later].timestamp - frames[sooner].timestamp, 32) for sooner, later in pairwise(markers)
    ]
    rate = Fraction(90_000 * len(ticks), sum(ticks)).limit_denominator(1001)
    form = Format(max(packets), rate, sender, anchor=anchor, troffset_ns=637_670)
    limits, *levels, last = observe([form.event, "trace", *(frame.event for frame in frames), "read"])
    assert (limits["cmax_frames"], limits["vrx_full_frames"]) == (form.cmax, form.vrx_full)
    assert [level for level, _ in levels] == cinst_levels(form, [frame.now_ns for frame in frames])
    vrx = judge_vrx(form, frames, numbers)
    assert [seen for (_, seen), level in zip(levels, vrx.levels, strict=True) if level is not None] == [
        level for level in vrx.levels if level is not None
    ]
    assert last["pacing"]["pictures_judged"] == len(vrx.pictures) >= len(markers) - 1 > 0


@pytest.mark.skipif(not FILES, reason=f"no captures in {CAPTURES}; put the EBU LIST samples there")
def test_every_capture_is_looked_at() -> None:
    assert {path.name: sorted({to for to, _ in iterate_rtp(path)}) for path in FILES} == FLOWS


@pytest.mark.skipif(not FILES, reason=f"no captures in {CAPTURES}; put the EBU LIST samples there")
def test_scripted_loss_on_a_capture() -> None:
    """Every 97th frame out, every 89th late by three: exactly these are counted."""
    frames = load_flow("ST2022-7-Audio.pcap", "239.1.2.1")
    lost = {index for index in range(1, len(frames) - 10) if index % 97 == 0}
    late = {index for index in range(1, len(frames) - 10) if index % 89 == 5 and index not in lost}
    kept = sorted(set(range(len(frames))) - lost, key=lambda index: index + 3.5 * (index in late))
    seen = observe_frames([frames[index] for index in kept])["rtp"]
    assert seen["lost_frames"] == len(lost)
    assert seen["reordered_frames"] == len(late)
    assert seen["duplicated_frames"] + seen["stray_frames"] + seen["restarts"] == 0
