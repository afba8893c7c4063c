# SPDX-License-Identifier: Apache-2.0
"""What the serial log of `make bench-lab` says: samples of the receiver, and what is made of them.

The host of a virtual machine has phases in which everything in it runs a third slower, for seconds. A median over
rounds says which forwarder met more of them. What the fastest tenth of all samples reach is measured beside them, and
repeats to a few hundredths; the control row says how many.
"""

import re
from collections.abc import Mapping
from statistics import median

from report import Figure

TICKS_PER_S = 100  # of /proc/PID/stat
FASTEST = 0.9  # of the samples are slower
# While pkt-gen starts and ends, what it counts is not whole.
AT_THE_START = 2
AT_THE_END = 2
_SAMPLE = re.compile(r"RX .*?\(([0-9.]+) ?([KMG]?)pkts .*? in ([0-9]+) usec\)")
_TICKS = re.compile(r"TICKS ([0-9]+) ([0-9]+) ([0-9]+) ([0-9]+) ([0-9]+)")
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
Key = tuple[str, str, int]  # who, where, bytes


def _parse_samples(part: str) -> list[float]:
    """Frames a second, of the whole ones from the first with frames to the last."""
    samples = [
        float(count) * _SCALE[unit] * 1e6 / int(duration_us)
        for count, unit, duration_us in _SAMPLE.findall(part)
    ]
    busy = [at for at, rate in enumerate(samples) if rate > 0]
    return samples[busy[0] + AT_THE_START : busy[-1] + 1 - AT_THE_END] if busy else []


def parse_figures(serial: str) -> list[Figure]:
    """A figure for each forwarder, place and size: every sample of all rounds, in order.

    `cpu` is the forwarder's share of its CPU, `user` the part outside the kernel, both the median of the rounds.
    """
    samples: dict[Key, list[float]] = {}
    shares: dict[Key, list[tuple[float, float]]] = {}
    for part in serial.split("MEASURE ")[1:]:
        who, where, size, *_ = part.split()
        key = who.replace("_", " "), where.replace("_", " "), int(size)
        samples.setdefault(key, []).extend(_parse_samples(part))
        if ticks := _TICKS.search(part):
            measured_us, user, system, user_after, system_after = map(int, ticks.groups())
            whole = measured_us / 1e6 * TICKS_PER_S
            shares.setdefault(key, []).append(((user_after - user) / whole, (system_after - system) / whole))
    return [Figure(*key, tuple(rates), _make_details(shares.get(key, []))) for key, rates in samples.items()]


def _make_details(shares: list[tuple[float, float]]) -> Mapping[str, float]:
    if not shares:
        return {}
    return {"cpu": median(map(sum, shares)), "user": median(user for user, _ in shares)}


def compute_fastest(figure: Figure) -> float:
    """Frames a second the fastest tenth of the samples reach; 0 without samples."""
    samples = sorted(figure.frames_per_s)
    return samples[int(FASTEST * len(samples))] if samples else 0.0


def render_table(figures: list[Figure], reference: str) -> str:
    """Markdown: what the fastest tenth reaches, and the median, beside the reference's."""
    lines = [
        f"| where | bytes | forwarder | fastest tenth | of {reference} | median | of {reference} | CPU | user |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    references = {(one.where, one.frame_bytes): one for one in figures if one.who == reference}
    for one in sorted(figures, key=lambda figure: (figure.where, figure.frame_bytes)):
        other = references[one.where, one.frame_bytes]
        fastest, middle = compute_fastest(one), one.median_frames_per_s
        shares = [f"{one.details[part]:.0%}" if part in one.details else "" for part in ("cpu", "user")]
        lines.append(
            f"| {one.where} | {one.frame_bytes:,} | {one.who} | {fastest:,.0f} "
            f"| {fastest / compute_fastest(other):.2f} | {middle:,.0f} "
            f"| {middle / other.median_frames_per_s:.2f} | {' | '.join(shares)} |"
        )
    return "\n".join(lines)
