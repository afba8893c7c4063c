# SPDX-License-Identifier: Apache-2.0
"""What shall be counted of a route's RTP frames, slow and obvious.

Written from RFC 3550 (6.4.1, A.1, A.3) and from what native/src/rtp_observe.h promises: a run keeps every number it
has seen, what is lost is what is not in that set, and experience is a list.
"""

from dataclasses import dataclass, field

from .observer_process import RtpFrame

MAX_DROPOUT, MAX_MISORDER, WRAP = 3000, 100, 65536  # RFC 3550, A.1
SLACK_FRAMES, TIME_SLACK_FRAMES = 64, 4096


def signed(value: int, bits: int) -> int:
    """The number of `bits` bits that two's complement makes of it."""
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value


@dataclass
class Stretch:
    """So many numbers, timestamp ticks and nanoseconds went together."""

    frames: int
    ticks: int
    ns: int


@dataclass
class Run:
    """Numbers of one sender from its start on, extended by their wraps."""

    first: int
    newest: RtpFrame
    highest: int
    seen: set[int]
    begin: RtpFrame
    begin_number: int
    stretches: list[Stretch] = field(default_factory=list)
    guard_ticks: int = 1
    last_marker: tuple[int, int] | None = None  # number and time
    picture_frames: int = 0
    stray_next: int | None = None

    @property
    def lost(self) -> int:
        return self.highest - self.first + 1 - len(self.seen)

    @property
    def known(self) -> bool:
        known = self.experience()
        return known.frames > 0 and known.ticks > 0

    def begin_stretch(self, now_ns: int) -> None:
        self.begin, self.begin_number, self.begin_ns = self.newest, self.highest, now_ns

    def __post_init__(self) -> None:
        self.begin_ns = self.newest.now_ns

    def current(self, now_ns: int) -> Stretch:
        """From the last beginning to the newest number."""
        ticks = (self.newest.timestamp - self.begin.timestamp) % (1 << 32)
        return Stretch(self.highest - self.begin_number, ticks, max(0, now_ns - self.begin_ns))

    def experience(self, *more: Stretch) -> Stretch:
        every = [*self.stretches, *more]
        return Stretch(sum(s.frames for s in every), sum(s.ticks for s in every), sum(s.ns for s in every))

    def end_stretch(self, now_ns: int) -> None:
        self.stretches.append(self.current(now_ns))
        known = self.experience()
        self.guard_ticks = 1 << 31
        if known.frames and known.ticks:
            frames = min(2 * self.picture_frames + SLACK_FRAMES, WRAP // 2)
            self.guard_ticks = min(self.guard_ticks, known.ticks * frames // known.frames + 1)
        self.begin_stretch(now_ns)


class RtpModel:
    """Counters of one flow; names as in struct fp_rtp_counters."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.last_ns: int | None = None
        names = (
            "frames", "bytes", "reordered_frames", "duplicated_frames", "stray_frames", "gaps", "largest_gap_frames",
            "long_gaps", "restarts", "ssrc_changes", "wraps", "pictures"
        )  # fmt: skip
        self.count = dict.fromkeys(names, 0)
        self.intervals_ns: list[int] = []
        self.markers_ns: list[int] = []

    @property
    def run(self) -> Run:
        return self.runs[-1]

    def counters(self) -> dict[str, int]:
        """Everything there is to compare."""
        expected = [run.highest - run.first + 1 for run in self.runs]
        return self.count | {
            "lost_frames": sum(run.lost for run in self.runs),
            "past_expected_frames": sum(expected[:-1]),
            "sequence": self.run.highest,
            "base": self.run.first,
            "stamp": self.run.newest.timestamp << 32 | self.run.newest.ssrc,
            "picture_intervals": len(self.intervals_ns),
            "picture_min_ns": min(self.intervals_ns, default=0),
            "picture_max_ns": max(self.intervals_ns, default=0),
            "picture_frames": self.run.picture_frames,
            "first_picture_ns": self.markers_ns[0] if self.markers_ns else 0,
            "last_picture_ns": self.markers_ns[-1] if self.markers_ns else 0,
        }

    def take(self, frame: RtpFrame) -> None:
        """One frame."""
        self.count["frames"] += 1
        self.count["bytes"] += frame.length_bytes
        ahead = self.judge(frame)
        if ahead and frame.marker:
            self.end_picture(frame.now_ns)
        self.last_ns = frame.now_ns

    def judge(self, frame: RtpFrame) -> bool:
        """Whether it is the newest of its run from now on."""
        if not self.runs or frame.ssrc != self.run.newest.ssrc:
            self.count["ssrc_changes"] += bool(self.runs)
            self.runs.append(Run(frame.number, frame, frame.number, {frame.number}, frame, frame.number))
            return True
        run = self.run
        by = signed(frame.number - run.highest, 16)
        ticks = signed(frame.timestamp - run.newest.timestamp, 32)
        near = -MAX_MISORDER < by < MAX_DROPOUT
        if not near or ticks >= run.guard_ticks:
            leap = self.find_leap(frame, ticks)
            if leap:
                self.count["long_gaps"] += leap > WRAP // 2
                self.go_ahead(frame, leap)
                run.begin_stretch(frame.now_ns)
                run.last_marker = None
                return True
        if not near:
            return self.take_stray(frame)
        if by <= 0:
            self.take_late(run.highest + by)
            return False
        self.advance(frame, by, ticks)
        return True

    def find_leap(self, frame: RtpFrame, ticks: int) -> int:
        """How many numbers a jump of the timestamp stands for, 0 where it does not fit."""
        run, last_ns = self.run, self.last_ns or 0
        known, all_of_it = run.experience(), run.experience(run.current(last_ns))
        picture = max(1, run.picture_frames)
        follows = frame.number == (run.highest + 1) % WRAP
        if ticks <= 0 or not run.known or all_of_it.ns == 0 or picture >= WRAP // 2:
            return 0
        if follows and picture > 1:
            return 0
        wanted = ticks * known.frames // known.ticks
        by_time = max(0, frame.now_ns - last_ns) * all_of_it.frames // all_of_it.ns
        # Of all advances that end in this 16-bit number the nearest.
        leap = wanted + signed(frame.number - run.highest - wanted, 16)
        if leap <= 0 or abs(leap - wanted) > picture + SLACK_FRAMES + wanted // known.ticks:
            return 0
        if abs(wanted - by_time) > 2 * picture + TIME_SLACK_FRAMES + by_time // 4:
            return 0
        return leap

    def take_stray(self, frame: RtpFrame) -> bool:
        run = self.run
        if frame.number != run.stray_next:
            self.count["stray_frames"] += 1
            run.stray_next = (frame.number + 1) % WRAP
            return False
        self.count["restarts"] += 1
        self.count["stray_frames"] -= 1
        number = frame.number
        self.runs.append(Run(number - 1, frame, number, {number - 1, number}, frame, number))
        return True

    def take_late(self, number: int) -> None:
        run = self.run
        if number < run.first:
            self.count["stray_frames"] += 1
        elif number in run.seen:
            self.count["duplicated_frames"] += 1
        else:
            self.count["reordered_frames"] += 1
            run.seen.add(number)

    def advance(self, frame: RtpFrame, by: int, ticks: int) -> None:
        """The number is ahead, by no more than a dropout."""
        run = self.run
        known = run.known
        steady = ticks >= 0 and (not known or ticks < run.guard_ticks)
        wraps = self.count["wraps"]
        self.go_ahead(frame, by)
        first_step = not known and run.begin_number <= run.first + 1
        if not steady or (first_step and ticks > 0):
            run.begin_stretch(frame.now_ns)
        elif (self.count["wraps"] != wraps and run.picture_frames == 0) if known else ticks > 0:
            run.end_stretch(frame.now_ns)

    def go_ahead(self, frame: RtpFrame, by: int) -> None:
        run = self.run
        if by > 1:
            self.count["gaps"] += 1
            self.count["largest_gap_frames"] = max(self.count["largest_gap_frames"], by - 1)
        self.count["wraps"] += (run.highest + by) // WRAP - run.highest // WRAP
        run.highest += by
        run.seen.add(run.highest)
        run.newest = frame

    def end_picture(self, now_ns: int) -> None:
        run = self.run
        self.count["pictures"] += 1
        self.markers_ns.append(now_ns)
        if run.last_marker is not None:
            number, then_ns = run.last_marker
            self.intervals_ns.append(max(0, now_ns - then_ns))
            run.picture_frames = run.highest - number
            run.end_stretch(now_ns)
        else:
            run.begin_stretch(now_ns)
        run.last_marker = (run.highest, now_ns)
