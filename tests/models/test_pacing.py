# SPDX-License-Identifier: Apache-2.0
"""Cinst and VRX of the fast path beside exact fractions: each frame's level, on generated senders of every type."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .observer_process import RtpFrame, observe
from .pacing_model import START_NUMBER, Anchor, Format, Sender, cinst_levels, judge_vrx, send

thorough = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
RATES = [Fraction(50), Fraction(60000, 1001), Fraction(25), Fraction(24000, 1001), Fraction(1, 3)]


def measure(
    form: Format, frames: Sequence[RtpFrame]
) -> tuple[dict[str, int], list[list[int]], dict[str, Any]]:
    """Limits, [Cinst, VRX] after each frame, and the counters at the end."""
    limits, *levels, last = observe([form.event, "trace", *(frame.event for frame in frames), "read"])
    return limits, levels, last["pacing"]


def check(form: Format, frames: Sequence[RtpFrame], numbers: Sequence[int]) -> dict[str, Any]:
    """Every level and every counter as the fractions say; returns the counters."""
    limits, levels, counters = measure(form, frames)
    assert limits == {"result": 0, "cmax_frames": form.cmax, "vrx_full_frames": form.vrx_full}
    cinst = cinst_levels(form, [frame.now_ns for frame in frames])
    vrx = judge_vrx(form, frames, numbers)
    assert [level for level, _ in levels] == cinst
    assert [seen for (_, seen), level in zip(levels, vrx.levels, strict=True) if level is not None] == [
        level for level in vrx.levels if level is not None
    ]
    judged = [level for picture in vrx.pictures for level in picture.levels]
    assert counters == {
        "cinst_frames": cinst[-1],
        "cinst_max_frames": max(cinst),
        "cinst_over_frames": sum(level > form.cmax for level in cinst),
        "vrx_frames": judged[-1] if judged else 0,
        "vrx_max_frames": max(judged, default=0),
        "vrx_min_frames": min(judged, default=0),
        "vrx_span_frames": max((max(p.levels) - min(p.levels) for p in vrx.pictures), default=0),
        "vrx_over_frames": sum(level > form.vrx_full for level in judged),
        "vrx_late_frames": sum(level < 0 for level in judged),
        "pictures_judged": len(vrx.pictures),
        "pictures_skipped": vrx.skipped,
    }
    return counters


formats = st.builds(
    Format,
    packets=st.integers(1, 60),
    rate=st.sampled_from(RATES),
    sender=st.sampled_from(Sender),
    active=st.sampled_from([Fraction(1080, 1125), Fraction(487, 525), Fraction(1)]),
    anchor=st.sampled_from(Anchor),
    max_udp_bytes=st.sampled_from([1460, 1500, 8960]),
    epoch_ns=st.sampled_from([0, 123_456_789]),
    troffset_ns=st.integers(0, 16_000_000),
)


@thorough
@given(formats, st.data())
def test_any_sender(form: Format, data: st.DataObject) -> None:
    """Frames early, late, in bursts, and some lost."""
    spread = form.trs_ns * data.draw(st.sampled_from([0, 1, 8, 60]), label="spread")
    leads = data.draw(
        st.lists(st.fractions(-1, 1, max_denominator=64), min_size=1, max_size=40), label="leads"
    )
    frames = send(form, 4, lambda index: spread * leads[index % len(leads)])
    lost = data.draw(st.sets(st.integers(1, len(frames) - 1), max_size=4), label="lost")
    kept = [index for index in range(len(frames)) if index not in lost]
    check(form, [frames[index] for index in kept], [START_NUMBER + index for index in kept])


HD = Format(4320, Fraction(50), troffset_ns=764_444)
SENDERS = {
    "N": HD,
    "NL": replace(HD, sender=Sender.NL),
    "W": replace(HD, sender=Sender.W),
    "N 1080p59.94": replace(HD, rate=Fraction(60000, 1001), troffset_ns=637_670),
}


@pytest.mark.parametrize("name", SENDERS)
def test_a_sender_within_its_limits(name: str) -> None:
    """The highest lead and the longest burst the type allows: at the limit, never over it."""
    form = SENDERS[name]
    # Drained at 1.1 of the rate a burst of Cmax - 1 leaves room for the frame that meets the next drain.
    burst, lead = form.cmax - 1, (form.vrx_full - 1) * form.trs_ns
    frames = send(form, 2, lambda index: min(lead, (index % form.packets % burst) * form.trs_ns))
    counters = check(form, frames, range(START_NUMBER, START_NUMBER + len(frames)))
    assert counters["cinst_over_frames"] == counters["vrx_over_frames"] == counters["vrx_late_frames"] == 0
    assert burst <= counters["cinst_max_frames"] <= form.cmax
    early = send(form, 2, lambda index: lead)
    counters = check(form, early, range(START_NUMBER, START_NUMBER + len(early)))
    assert counters["vrx_max_frames"] == form.vrx_full
    assert counters["vrx_over_frames"] == counters["vrx_late_frames"] == 0


@pytest.mark.parametrize("name", SENDERS)
def test_a_sender_out_of_its_limits(name: str) -> None:
    form = SENDERS[name]
    numbers = range(START_NUMBER, START_NUMBER + 1 + 2 * form.packets)
    bursts = check(form, send(form, 2, lambda index: index % 60 * form.trs_ns), numbers)
    assert bursts["cinst_over_frames"] > 0
    early = check(form, send(form, 2, lambda index: (form.vrx_full + 1) * form.trs_ns), numbers)
    assert early["vrx_over_frames"] > 0
    late = check(form, send(form, 2, lambda index: -3 * form.trs_ns), numbers)
    assert late["vrx_late_frames"] > 0
    assert late["vrx_min_frames"] == -3


def test_a_gapped_sender_on_its_schedule_is_never_ahead() -> None:
    counters = check(HD, send(HD, 2, lambda index: Fraction(0)), range(START_NUMBER, START_NUMBER + 8641))
    assert counters["cinst_max_frames"] == 1
    assert counters["vrx_max_frames"] <= 1
    assert counters["vrx_late_frames"] == 0
    assert counters["pictures_judged"] == 2
