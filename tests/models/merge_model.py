# SPDX-License-Identifier: Apache-2.0
"""What the merge of two ST 2022-7 paths shall do, slow and obvious.

The model is told which frame of the sender each arrival is (`Arrival.run`, `Arrival.index`), so it never looks at a
sequence number or a timestamp. The C part is told only those, and has to find out.
"""

from collections import Counter
from dataclasses import dataclass, field

RESERVE_FRAMES = 192  # of the slots, never used
STRAY_REACH = 64
BEFORE_NS = 2_000_000_000
PATHS = (0, 1)
VERDICTS = ("forward", "hold", "merged", "duplicate", "late")
BINS = 21


@dataclass(frozen=True)
class Arrival:
    """A frame on a path: the sender's `index`-th of its `run`-th life. `handle` is unique."""

    now_ns: int
    path: int
    run: int
    index: int
    sequence: int
    timestamp: int
    ssrc: int
    handle: int


@dataclass
class Place:
    """One frame of the sender, in the order of the flow."""

    reached_ns: int  # when the flow's newest frame first was this one or one behind it
    paths: set[int] = field(default_factory=set)
    filled: bool = False
    held: int | None = None


@dataclass
class Span:
    """A stretch of a sender's life without a gap: frame `base_index` is place `base_place`."""

    run: int
    ssrc: int
    base_index: int
    base_place: int
    until_ns: int | None = None  # known so long, once another one follows

    def place_of(self, arrival: Arrival) -> int:
        return self.base_place + arrival.index - self.base_index


@dataclass
class MergeModel:
    window_ns: int
    silence_ns: int
    slots: int
    hold_frames: int
    places: list[Place] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    stray: Arrival | None = None
    counted: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[tuple[int, str]] = field(default_factory=Counter)
    lost_early: int = 0  # in gaps longer than the slots
    last_ns: dict[int, int] = field(default_factory=dict)
    differentials: list[tuple[int, int]] = field(default_factory=list)  # path that led, by how many ns
    next: int = 0
    out: list[int] = field(default_factory=list)

    @property
    def reach(self) -> int:
        return self.slots - RESERVE_FRAMES

    @property
    def pushed_out(self) -> int:
        """Places below it have no slot any more: slots are used again 64 at a time."""
        return (len(self.places) - 1) // 64 * 64 + 64 - self.slots

    def offer(self, arrival: Arrival) -> str:
        """The verdict; what goes out is appended to `out`."""
        self.count_silence(arrival)
        verdict = self.judge(arrival)
        self.verdicts[arrival.path, verdict] += 1
        if verdict == "forward":
            self.out.append(arrival.handle)
        self.release(arrival.now_ns)
        return verdict

    def count_silence(self, arrival: Arrival) -> None:
        last_ns = self.last_ns
        silent = [path not in last_ns or arrival.now_ns - last_ns[path] > self.silence_ns for path in PATHS]
        self.counted["silences"] += all(silent) and bool(last_ns)
        self.counted[f"outages {arrival.path}"] += silent[arrival.path] and arrival.path in last_ns
        last_ns[arrival.path] = arrival.now_ns

    def judge(self, arrival: Arrival) -> str:
        if not self.spans:
            self.begin(arrival)
            return self.take_new(arrival, 0)
        known = [span for span in self.spans[-2:] if span.until_ns is None or arrival.now_ns < span.until_ns]
        for span in reversed(known):
            place = span.place_of(arrival)
            newest = span is self.spans[-1]
            if span.run == arrival.run and newest and place >= len(self.places):
                return self.take_new(arrival, place)
            end = len(self.places) if newest else self.spans[-1].base_place
            in_slots = place >= self.pushed_out
            if span.run == arrival.run and span.base_place <= place < end and in_slots:
                return self.take_known(arrival, place)
        still_ns = arrival.now_ns - self.places[-1].reached_ns
        old = any(span.run == arrival.run for span in known)
        if old and still_ns <= self.silence_ns:
            return "late"
        return self.take_stray(arrival)

    def begin(self, arrival: Arrival) -> None:
        if self.spans:
            self.spans[-1].until_ns = arrival.now_ns + self.window_ns + BEFORE_NS
        self.spans.append(Span(arrival.run, arrival.ssrc, arrival.index, len(self.places)))

    def take_new(self, arrival: Arrival, place: int) -> str:
        gap = place - len(self.places)
        if gap > self.reach:
            self.lost_early += gap
            self.begin(arrival)
            gap = 0
        place = len(self.places) + gap
        if self.hold_frames:
            self.make_room(place, arrival.now_ns)
        self.places += [Place(arrival.now_ns) for _ in range(gap + 1)]
        self.stray = None
        return self.take_first(arrival, place)

    def take_known(self, arrival: Arrival, number: int) -> str:
        place = self.places[number]
        age_ns = arrival.now_ns - place.reached_ns
        if age_ns > self.window_ns:
            return "late"
        if arrival.path in place.paths:
            return "duplicate"
        if place.paths:
            place.paths.add(arrival.path)
            if not place.filled:
                self.differentials.append((1 - arrival.path, age_ns))
            return "merged"
        if self.hold_frames and (number < self.next or not self.make_room(number, arrival.now_ns)):
            return "late"
        place.filled = True
        self.counted["filled"] += 1
        return self.take_first(arrival, number)

    def take_first(self, arrival: Arrival, number: int) -> str:
        self.places[number].paths.add(arrival.path)
        if self.hold_frames and number != self.next:
            self.places[number].held = arrival.handle
            return "hold"
        self.next = number + 1
        return "forward"

    def take_stray(self, arrival: Arrival) -> str:
        stray = self.stray
        if stray is not None and stray.run == arrival.run and stray.ssrc == arrival.ssrc:
            ahead = arrival.index - stray.index
            if ahead == 0 and arrival.path == stray.path:
                return "duplicate"
            if 0 <= ahead <= STRAY_REACH:
                self.counted["restarts" if stray.ssrc == self.spans[-1].ssrc else "ssrc_changes"] += 1
                self.counted["strays"] -= 1
                if self.hold_frames:
                    self.make_room(len(self.places), arrival.now_ns)
                self.begin(stray)
                self.places.append(Place(stray.now_ns, {stray.path}))
                self.stray = None
                return self.judge(arrival)
        self.stray = arrival
        self.counted["strays"] += 1
        return "forward"

    # ---- in order

    @property
    def held(self) -> int:
        return sum(place.held is not None for place in self.places[self.next :])

    def skip_to_held(self) -> None:
        while self.next < len(self.places) and self.places[self.next].held is None:
            self.skip()

    def skip(self) -> None:
        self.counted["skipped"] += not self.places[self.next].paths
        self.next += 1

    def make_room(self, number: int, now_ns: int) -> bool:
        """Gives up holes until `number` can be held; false where it was itself given up."""
        while number > self.next:
            if self.held >= self.hold_frames:
                self.skip_to_held()
            else:
                while number - self.next > self.reach and self.places[self.next].held is None:
                    self.skip()
                if number - self.next <= self.reach:
                    return True
            self.release(now_ns)
        return number == self.next

    def release(self, now_ns: int) -> None:
        while self.hold_frames and self.held:
            place = self.places[self.next]
            if place.held is not None:
                self.out.append(place.held)
                place.held = None
            elif not place.paths and now_ns - place.reached_ns <= self.window_ns:
                return
            self.next += 1

    # ---- the account

    def read(self, now_ns: int) -> list[str]:
        """The counters, as native/tests/replay_merge.c prints them."""
        due = [
            place
            for number, place in enumerate(self.places)
            if number < self.pushed_out or now_ns - place.reached_ns > self.window_ns
        ]
        lines = []
        for path in PATHS:
            by = {verdict: self.verdicts[path, verdict] for verdict in VERDICTS}
            lost = self.lost_early + sum(path not in place.paths for place in due)
            lines.append(f"path {'AB'[path]} {sum(by.values())} {by['forward'] + by['hold']} {by['merged']} "
                         f"{by['duplicate']} {by['late']} {lost} {self.counted[f'outages {path}']}")  # fmt: skip
        lost = self.lost_early + sum(not place.paths for place in due)
        names = ("filled", "strays", "restarts", "ssrc_changes", "silences", "skipped")
        lines.append(" ".join(map(str, ["flow", lost, *(self.counted[name] for name in names), self.held])))
        return [*lines, *self.read_differential()]

    def read_differential(self) -> list[str]:
        signed = [-age_ns if leader else age_ns for leader, age_ns in self.differentials]
        least, most = min(signed, default=2**63 - 1), max(signed, default=-(2**63))
        bins: Counter[tuple[int, int]] = Counter()
        for leader, age_ns in self.differentials:
            bins[next(i for i in range(BINS) if age_ns < 1024 << i), leader] += 1
        return [
            f"differential {len(signed)} {sum(signed)} {least} {most}",
            "bins " + " ".join(f"{bins[size, 0]} {bins[size, 1]}" for size in range(BINS)),
        ]
