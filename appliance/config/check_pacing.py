# SPDX-License-Identifier: Apache-2.0
"""What a single field of `pacing:` cannot say: formats with half of their numbers, types that contradict a schedule."""

from collections.abc import Iterator

from appliance.config.media import Pacing
from appliance.config.yaml_source import Location, Problem

# Line rate of 100G is below; the fast path's fractions end at one frame a nanosecond.
MOST_FRAMES_PER_S = 200_000_000


def check_pacing(pacing: Pacing, here: Location) -> Iterator[Problem]:
    """Problems of a video sender's description."""
    numbers = ("rate", "active_lines", "total_lines")
    given = [name for name in numbers if getattr(pacing, name) is not None]
    if pacing.format is not None:
        for name in given:
            yield Problem((*here, name), "given beside `format`, which says it; keep one of the two")
    elif len(given) < len(numbers) or pacing.packets is None:
        missing = [name for name in (*numbers, "packets") if getattr(pacing, name) is None]
        what = f"missing {', '.join(missing)}; " if given or pacing.packets is not None else ""
        yield Problem(
            here, f"{what}name a video format like `format: 1080p50`, or give rate, active_lines, "
            "total_lines and packets"
        )  # fmt: skip
    if pacing.active_lines is not None and pacing.active_lines > (pacing.total_lines or pacing.active_lines):
        yield Problem(
            (*here, "active_lines"),
            f"{pacing.active_lines} of {pacing.total_lines} lines; give no more than `total_lines`",
        )
    if pacing.is_complete and _find_read_rate(pacing) > MOST_FRAMES_PER_S:
        yield Problem(
            here,
            f"{_find_read_rate(pacing):,} packets a second are to be read; at most {MOST_FRAMES_PER_S:,} are timed",
        )
    # ST 2110-21, 7.1.2 and 7.1.3: the two narrow types differ in nothing but the schedule.
    other = {("N", "linear"): "NL", ("NL", "gapped"): "N"}.get((pacing.sender, pacing.read_schedule))
    if other is not None:
        yield Problem(
            (*here, "schedule"), f"a narrow sender with a {pacing.schedule} schedule is `sender: {other}`"
        )
    yield from _check_troffset(pacing, here)


def _find_read_rate(pacing: Pacing) -> int:
    """Packets a second in the active lines."""
    active, total = pacing.lines
    return int(pacing.picture_packets * pacing.picture_rate * total / active)


def _check_troffset(pacing: Pacing, here: Location) -> Iterator[Problem]:
    if pacing.troffset_us is None:
        return
    where = (*here, "troffset_us")
    if pacing.anchor != "epoch":
        yield Problem(where, "counts from the SMPTE epoch; add `anchor: epoch`, or remove it")
    rate = pacing.rate if pacing.format is None else pacing.format.rate
    if rate is not None and pacing.troffset_us * rate >= 1_000_000:
        yield Problem(
            where, f"{pacing.troffset_us} µs are no less than a picture of {float(1_000_000 / rate):.0f} µs"
        )
