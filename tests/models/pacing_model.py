# SPDX-License-Identifier: Apache-2.0
"""The two models of ST 2110-21 in exact fractions, from the published formulas, and senders to judge by them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction

from .observer_process import RtpFrame

BETA = Fraction(11, 10)
NS = 10**9
START_NUMBER = 65_000  # so that the 16-bit number wraps soon


class Sender(IntEnum):
    """Sender types, ST 2110-21, 7.1."""

    N, NL, W = 1, 2, 3


class Anchor(IntEnum):
    """From where TVD is counted."""

    EPOCH, FIRST = 1, 2


@dataclass(frozen=True)
class Format:
    """What a route names; `rate` is in pictures (or fields) a second."""

    packets: int
    rate: Fraction
    sender: Sender = Sender.N
    active: Fraction = Fraction(1080, 1125)
    anchor: Anchor = Anchor.EPOCH
    max_udp_bytes: int = 1500
    epoch_ns: int = 7
    troffset_ns: int = 0
    id: int = 1

    @property
    def gapped(self) -> bool:
        return self.sender == Sender.N

    @property
    def event(self) -> str:
        """As a line of input of observe_events."""
        schedule = 1 if self.gapped else 2
        values = (
            self.packets, *self.rate.as_integer_ratio(), *self.active.as_integer_ratio(),
            self.sender.value, schedule, self.anchor.value, self.max_udp_bytes, self.id,
            self.epoch_ns, self.troffset_ns,
        )  # fmt: skip
        return "plan " + " ".join(map(str, values))

    @property
    def period_ns(self) -> Fraction:
        return NS / self.rate

    @property
    def trs_ns(self) -> Fraction:
        return self.period_ns * (self.active if self.gapped else 1) / self.packets

    @property
    def tdrain_ns(self) -> Fraction:
        return self.period_ns / self.packets / BETA

    @property
    def cmax(self) -> int:
        frame_s = 1 / self.rate
        if self.sender == Sender.W:
            return max(16, math.floor(self.packets / (21600 * frame_s)))
        active = self.active if self.gapped else 1
        return max(4, math.floor(self.packets / (43200 * active * frame_s)))

    @property
    def vrx_full(self) -> int:
        frame_s = 1 / self.rate
        if self.sender == Sender.W:
            return max(1500 * 720 // self.max_udp_bytes, math.floor(self.packets / (300 * frame_s)))
        return max(1500 * 8 // self.max_udp_bytes, math.floor(self.packets / (27000 * frame_s)))

    def tvd_ns(self, picture: int) -> Fraction:
        return self.epoch_ns + self.troffset_ns + picture * self.period_ns

    def count_read(self, since_tvd_ns: Fraction) -> int:
        """How many frames of a picture are read so long after its TVD; frame j is at j TRS."""
        return min(self.packets, max(0, math.floor(since_tvd_ns / self.trs_ns) + 1))


def cinst_levels(form: Format, times_ns: Sequence[int]) -> list[int]:
    """Level of the network compatibility model after each frame; it drains from the first frame on."""
    levels, level, drains = [], 0, 0
    for time_ns in times_ns:
        drained = math.floor((time_ns - times_ns[0]) / form.tdrain_ns)
        level = max(0, level - (drained - drains)) + 1
        drains = drained
        levels.append(level)
    return levels


@dataclass
class Picture:
    """What of a picture was judged."""

    tvd_ns: Fraction
    number: int | None = None  # since the epoch
    follows: bool = False
    levels: list[int] = field(default_factory=list)


@dataclass
class Vrx:
    """Level of the virtual receiver buffer after each frame (None: not judged), and what was seen of pictures."""

    levels: list[int | None] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    skipped: int = 0


def judge_vrx(form: Format, frames: Sequence[RtpFrame], numbers: Sequence[int]) -> Vrx:
    """`numbers` are the frames' numbers, not wrapped."""
    vrx = Vrx()
    current: Picture | None = None
    first: int | None = None
    last_judged: int | None = None
    for frame, number in zip(frames, numbers, strict=True):
        level = None
        if current is None and first is not None:
            if number == first:
                current = begin_picture(form, frame.now_ns, last_judged)
                vrx.pictures.append(current)
                last_judged = current.number
            else:
                vrx.skipped, first, last_judged = vrx.skipped + 1, None, None
        if current is not None and first is not None:
            if number - first >= form.packets:
                vrx.skipped, current, first, last_judged = vrx.skipped + 1, None, None, None
            else:
                level = number - first + 1 - count_read(form, current, frame.now_ns)
                current.levels.append(level)
        vrx.levels.append(level)
        if frame.marker:
            current, first = None, number + 1
    return vrx


def begin_picture(form: Format, now_ns: int, before: int | None) -> Picture:
    """Its TVD is the nearest of the epoch's, or now."""
    if form.anchor == Anchor.FIRST:
        return Picture(Fraction(now_ns))
    pictures = max(0, now_ns - form.epoch_ns - form.troffset_ns) / form.period_ns
    number = math.floor(pictures + Fraction(1, 2))
    return Picture(form.tvd_ns(number), number, before is not None and before + 1 == number)


def count_read(form: Format, picture: Picture, now_ns: int) -> int:
    """Frames read of this picture, less those of the one before that are still to be read."""
    read = form.count_read(now_ns - picture.tvd_ns)
    if read == 0 and picture.follows:
        return form.count_read(now_ns - picture.tvd_ns + form.period_ns) - form.packets
    return read


def send(form: Format, pictures: int, lead_ns: Callable[[int], Fraction], first: int = 100) -> list[RtpFrame]:
    """Frames that leave `lead_ns(index)` before they shall be read, in order, after one that ends a picture."""
    frames = [RtpFrame(math.floor(form.tvd_ns(first) - form.period_ns / 4), START_NUMBER, 0, 1, True)]
    for index in range(pictures * form.packets):
        picture, place = divmod(index, form.packets)
        time_ns = math.floor(form.tvd_ns(first + picture) + place * form.trs_ns - lead_ns(index))
        marker = place == form.packets - 1
        number = (START_NUMBER + 1 + index) % 65536
        frames.append(
            RtpFrame(max(time_ns, frames[-1].now_ns), number, (picture + 1) * 1800, 1, marker, 1262)
        )
    return frames
