# SPDX-License-Identifier: Apache-2.0
"""The soak's pure parts; no QEMU is started here."""

from __future__ import annotations

import pytest
from lab.capture import Frame
from lab.media import Media
from lab.report import Report
from lab.soak import GROWTH_LIMIT_KIB, Soaked, find_growth_kib, judge, mix_media


def test_media_is_mixed_by_time_and_repeated_without_overlap() -> None:
    quick = Media("quick", "here", [Frame(1000, b"a"), Frame(1010, b"b")])
    slow = Media("slow", "here", [Frame(5, b"A"), Frame(45, b"B")])
    mixed = mix_media([quick, slow], seconds=80e-9)
    assert [(frame.time_ns, frame.data) for frame in mixed if frame.data.islower()] == [
        (0, b"a"), (10, b"b"), (20, b"a"), (30, b"b"), (40, b"a"), (50, b"b"), (60, b"a"), (70, b"b"),
    ]  # fmt: skip
    assert [(frame.time_ns, frame.data) for frame in mixed if frame.data.isupper()] == [(0, b"A"), (40, b"B")]
    assert [frame.time_ns for frame in mixed] == sorted(frame.time_ns for frame in mixed)


def test_growth_is_told_from_warming_up_and_from_noise() -> None:
    assert find_growth_kib([100, 4000, 5000, 5000, 5010, 4990, 5000, 5000, 5010]) == 0
    assert find_growth_kib([5000 + 300 * turn for turn in range(9)]) == 900
    with pytest.raises(ValueError, match="2 samples"):
        find_growth_kib([1, 2])


@pytest.mark.parametrize(
    ("samples", "passed"),
    [
        ([5000, 5000, 5000], True),
        ([5000, 5000, 5000 + GROWTH_LIMIT_KIB], True),
        ([5000, 5000, 5001 + GROWTH_LIMIT_KIB], False),
        ([5000, 5000], False),
    ],
)
def test_memory_is_judged(samples: list[int], passed: bool) -> None:
    report = Report()
    judge(Soaked(sent=1, passes=1, memory_kib={"daemon": samples}), report)
    assert [check.passed for check in report.checks] == [True, passed]


def test_one_lost_frame_fails_the_soak() -> None:
    report = Report()
    judge(Soaked(sent=2, passes=1, faults=["pass 1, a to b: 1 lost"]), report)
    assert not report.passed
    assert "1 lost" in report.checks[0].detail
