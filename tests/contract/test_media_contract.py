# SPDX-License-Identifier: Apache-2.0
"""What the configuration computes of media is what the fast path does, which it may not import."""

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import pytest

from appliance.config import check_media, check_pacing, formats, holding, media, merges
from appliance.config.formats import parse_video_format
from appliance.config.media import Pacing
from appliance.daemon.media import build_pacing
from appliance.fastpath import (
    LoopWorker,
    MemoryPort,
    MergeConfig,
    NativeError,
    PacingFormat,
    Region,
    RouteTable,
    StateSegment,
    find_window_ns,
    names,
    plan_slots,
)

ROOT = Path(__file__).parents[2]
HEADER = (ROOT / "native/include/fastpath.h").read_text()


def test_limits() -> None:
    assert merges.MAX_MERGES_PER_WORKER == names.MAX_MERGES
    assert merges.MAX_MERGE_SLOTS == names.MAX_MERGE_SLOTS
    assert check_media.MAX_PACING_PER_WORKER == names.MAX_PACING
    assert f"#define FP_MERGE_ARENA_BYTES {merges.MERGE_ARENA_BYTES}\n" in HEADER


def test_buffers_for_held_frames() -> None:
    assert holding.MAX_HOLD_BUFFERS == names.MAX_HOLD_BUFFERS
    assert holding.SPARE_FRAMES == names.HOLD_SPARE_FRAMES
    frames = 100
    buffers = holding.count_buffers(frames)
    with ExitStack() as stack:
        region = stack.enter_context(Region(16 + buffers, holding.BUFFER_BYTES))
        port = stack.enter_context(MemoryPort.create("a", region, 8))
        state = stack.enter_context(StateSegment.create(Path("/dev/shm") / f"hold-{os.getpid()}"))
        stack.callback(state.path.unlink)
        worker = stack.enter_context(LoopWorker(state))
        worker.add_port(port, "a")
        with pytest.raises(NativeError) as refusal:
            worker.hold(0, region, buffers + 1)
        assert refusal.value.code == names.E_REGION
        worker.hold(0, region, buffers)
        info = state.read_port_info(0)
    assert (info.hold_buffers, info.hold_bytes) == (buffers, holding.find_hold_bytes(buffers))


def test_the_window_of_class_b_at_2160p() -> None:
    """50 ms of 1.036 million frames a second, and a quarter."""
    frames = merges.plan_frames(50_000_000, 1_035_765)
    assert frames == 51_789 + 51_789 // 4
    assert accepts_merge(
        MergeConfig(1, 50_000_000, merges.plan_slots(50_000_000, 1_035_765), hold_frames=frames)
    )


@pytest.mark.parametrize("path_class", "ABCD")
@pytest.mark.parametrize("bits_per_s", [1, 269_999_999, 270_000_000, 8_000_000_000])
def test_windows_of_classes(path_class: str, bits_per_s: int) -> None:
    assert merges.find_window_ns(path_class, bits_per_s) == find_window_ns(path_class, bits_per_s)


@pytest.mark.parametrize("window_ns", [1, 150_000, 10_000_000, 50_000_000, 150_000_000, 450_000_000, 2**30])
def test_slots(window_ns: int) -> None:
    for frames_per_s in (1, 50, 8_000, 216_000, 255_900, 256_000, 864_000, 1_035_965, 5_000_000):
        wanted = merges.plan_slots(window_ns, frames_per_s)
        if wanted > names.MAX_MERGE_SLOTS:
            with pytest.raises(NativeError):
                plan_slots(window_ns, frames_per_s)
        else:
            assert plan_slots(window_ns, frames_per_s) == wanted


def accepts_merge(config: MergeConfig) -> bool:
    with RouteTable(1) as table:
        try:
            table.add_merge(0, config)
        except NativeError:
            return False
        return True


def test_the_longest_window() -> None:
    longest_ns = media.MAX_WINDOW_US * merges.NS_PER_US
    assert accepts_merge(MergeConfig(id=1, window_ns=longest_ns, slots=merges.MIN_MERGE_SLOTS))
    assert not accepts_merge(MergeConfig(1, longest_ns + merges.NS_PER_US, merges.MIN_MERGE_SLOTS))
    assert not accepts_merge(MergeConfig(1, 1000, merges.MIN_MERGE_SLOTS // 2))


@pytest.mark.parametrize("hold_frames", [0, 100])
def test_memory_is_not_less_than_it_takes(tmp_path: Path, hold_frames: int) -> None:
    """A worker takes pages for its merges when the table is published; the file says how many."""
    with StateSegment.create(tmp_path / "state") as state, RouteTable(1) as table:
        before = (tmp_path / "state").stat().st_blocks
        count, slots = 64, 2048
        for number in range(count):
            table.add_merge(number, MergeConfig(1, 1_000_000, slots, hold_frames=hold_frames))
        state.publish(table, 1, bytes(32))
        taken = ((tmp_path / "state").stat().st_blocks - before) * 512
    plan = merges.MergePlan(window_ns=1_000_000, slots=slots, silence_ns=0, hold_frames=hold_frames)
    assert 0.9 * count * plan.bytes < taken < count * plan.bytes + 65536


def accepts(pacing: PacingFormat) -> bool:
    with RouteTable(1) as table:
        try:
            table.add_pacing(pacing)
        except NativeError:
            return False
        return True


def build(**fields: object) -> PacingFormat:
    return build_pacing(Pacing.model_validate(fields))


def test_every_format_that_has_a_name_is_taken() -> None:
    for rate in formats.RATES:
        for lines in ("720p", "1080p", "2160p"):
            for sender in ("N", "NL", "W"):
                assert accepts(build(format=f"{lines}{rate}", sender=sender))
    for rate in ("50", "59.94", "60"):
        assert accepts(build(format=f"1080i{rate}", sender="N"))


@pytest.mark.parametrize(
    ("name", "frames_per_s"),
    [
        ("1080p50", 216_000),
        ("2160p50", 864_000),
        ("2160p59.94", Fraction(1_036_800_000, 1001)),
        ("1080i50", 108_000),
    ],
)
def test_frames_a_second_are_those_of_the_design(name: str, frames_per_s: Fraction) -> None:
    video = parse_video_format(name)
    assert video.packets * video.rate == frames_per_s


def test_the_widest_numbers_are_taken_and_no_wider_ones() -> None:
    wide = {"active_lines": 1, "total_lines": media.MAX_LINES, "sender": "NL"}
    assert accepts(build(**wide, rate=1, packets=media.MAX_PACKETS, max_udp_bytes=media.MAX_UDP_BYTES))
    assert accepts(build(**wide, rate=formats.MOST_PICTURES_PER_S, packets=1))
    sparse = f"1/{formats.MOST_RATE_TERM['denominator']}"
    assert accepts(build(**wide, rate=sparse, packets=1))
    widest = build(**wide, rate=1, packets=media.MAX_PACKETS)
    for field, value in {
        "packets": media.MAX_PACKETS + 1,
        "total_lines": media.MAX_LINES + 1,
        "max_udp_bytes": media.MAX_UDP_BYTES + 1,
        "rate": Fraction(formats.MOST_PICTURES_PER_S + 1),
    }.items():
        values = {name: getattr(widest, name) for name in PacingFormat.__slots__} | {field: value}
        assert not accepts(PacingFormat(**values)), field


def test_as_many_packets_a_second_as_the_check_lets_through_are_timed() -> None:
    rate = check_pacing.MOST_FRAMES_PER_S // 1000
    assert accepts(build(rate=rate, packets=1000, active_lines=1, total_lines=1, sender="NL"))
