# SPDX-License-Identifier: Apache-2.0
"""The comparer must find every way in which media can arrive wrong: a lab that cannot fail proves nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lab.compare import compare_frames

FRAMES = [bytes([number]) * 8 for number in range(6)]
some_frames = st.lists(st.binary(max_size=2), max_size=12)


def test_the_same_frames_are_identical() -> None:
    result = compare_frames(FRAMES, list(FRAMES))
    assert result.identical
    assert result.describe() == "6 frames in, 6 out, byte-identical and in order"


def test_a_lost_frame() -> None:
    result = compare_frames(FRAMES, FRAMES[:2] + FRAMES[3:])
    assert (result.identical, result.lost, result.duplicated, result.unknown) == (False, 1, 0, 0)
    assert result.first_difference == 2


def test_a_lost_last_frame() -> None:
    result = compare_frames(FRAMES, FRAMES[:-1])
    assert (result.identical, result.lost, result.first_difference) == (False, 1, 5)


def test_a_duplicated_frame() -> None:
    result = compare_frames(FRAMES, [*FRAMES, FRAMES[0]])
    assert (result.identical, result.lost, result.duplicated, result.unknown) == (False, 0, 1, 0)


def test_one_changed_byte() -> None:
    changed = [FRAMES[0], b"\x01" * 7 + b"\x00", *FRAMES[2:]]
    result = compare_frames(FRAMES, changed)
    assert (result.lost, result.duplicated, result.unknown, result.first_difference) == (1, 0, 1, 1)


def test_padding_is_a_change() -> None:
    assert compare_frames([b"abc"], [b"abc\0"]).unknown == 1


def test_two_frames_that_changed_places() -> None:
    result = compare_frames(FRAMES, [FRAMES[1], FRAMES[0], *FRAMES[2:]])
    assert not result.identical
    assert "another order" in result.describe()


def test_a_stranger() -> None:
    result = compare_frames(FRAMES, [*FRAMES, b"stranger"])
    assert (result.identical, result.lost, result.unknown) == (False, 0, 1)


@given(some_frames, some_frames)
def test_identical_exactly_where_the_lists_are_equal_and_nothing_goes_missing_in_the_counts(
    sent: list[bytes], received: list[bytes]
) -> None:
    result = compare_frames(sent, received)
    assert result.identical == (sent == received)
    assert result.sent - result.lost + result.duplicated + result.unknown == result.received
