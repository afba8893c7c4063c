# SPDX-License-Identifier: Apache-2.0
"""Send media into one NIC, collect it from the other: the same bytes, in order, once, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.compare import compare_frames
from lab.media import Media
from lab.report import Report
from lab.wire import Wire, replay, wait_quiet

_IDLE_S = 10.0
_QUIET_S = 1.5


def exchange(media: Media, enters: Wire, leaves: Wire, slowdown: float, report: Report, label: str) -> int:
    """Replay `media` from `enters` to `leaves` and record the checks; returns the frames sent.

    Whatever the guest sends back on the cable the media entered by counts as a stranger.
    """
    for wire in (enters, leaves):
        wire.take()
    took_s, held_s = replay(enters, leaves, media.frames, slowdown)
    wait_quiet((enters, leaves), len(media.frames), _IDLE_S, _QUIET_S)
    result = compare_frames([frame.data for frame in media.frames], leaves.take())
    pace = f"in {took_s:.2f} s ({len(media.frames) / took_s / 1e3:.1f} kframes/s, held back {held_s:.2f} s)"
    report.check(f"{label}: {media.name}", result.identical, f"{result.describe()}, {pace}")
    strangers = enters.take()
    report.check(f"{label}: nothing comes back", not strangers, describe_strangers(strangers))
    return len(media.frames)


def exchange_all(
    media: Sequence[Media], cables: Sequence[tuple[str, Path]], slowdown: float, report: Report
) -> int:
    """Every media in both directions between two cables (name, socket); returns the frames sent in all."""
    (first, first_path), (second, second_path) = cables
    sent = 0
    with Wire(first_path) as a, Wire(second_path) as b:
        before = a.take() + b.take()
        report.check("the guest is silent", not before, describe_strangers(before))
        for one in media:
            sent += exchange(one, a, b, slowdown, report, f"{first} to {second}")
            sent += exchange(one, b, a, slowdown, report, f"{second} to {first}")
    return sent


def describe_strangers(frames: Sequence[bytes]) -> str:
    """What arrived though nobody sent it: how many, and the start of the first."""
    if not frames:
        return "no other frame arrived"
    return f"{len(frames)} frames nobody sent, the first starts with {frames[0][:34].hex()}"
