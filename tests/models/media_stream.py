# SPDX-License-Identifier: Apache-2.0
"""Random senders and networks: what arrives on two paths, when, and which frame of the sender it is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from .merge_model import Arrival

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Format:
    """Frames of one picture (or audio packet) share a timestamp and leave evenly spaced."""

    frames_per_picture: int
    picture_ticks: int
    clock_hz: int

    @property
    def frame_ns(self) -> int:
        return self.picture_ticks * SECOND_NS // self.clock_hz // self.frames_per_picture


FORMATS = [
    Format(1, 48, 48_000),  # audio, 1 ms
    Format(1, 6, 48_000),  # audio, 125 us
    Format(40, 1800, 90_000),  # a small picture, 50 a second
    Format(3, 1501, 90_000),  # ancillary data
    Format(40, 36, 90_000),  # 100,000 frames a second
]
SETTLED_FRAMES = 320  # of each life; path A carries them unharmed, so that the merge learns


@dataclass(frozen=True)
class Life:
    """The sender, from one start to the next. `pauses`: before frame i so many frames are sent to nobody."""

    format: Format
    run: int
    frames: int
    sequence: int
    timestamp: int
    ssrc: int
    pauses: tuple[tuple[int, int], ...]

    def send(self, start_ns: int) -> Iterator[tuple[int, int]]:
        """(time in ns, index) of every frame."""
        skipped = 0
        pauses = dict(self.pauses)
        for at in range(self.frames):
            skipped += pauses.get(at, 0)
            yield start_ns + (at + skipped) * self.format.frame_ns, at + skipped

    @property
    def length(self) -> int:
        """Frames, those sent to nobody included."""
        return self.frames + sum(count for _at, count in self.pauses)

    def arrival(self, now_ns: int, path: int, index: int) -> Arrival:
        picture = index // self.format.frames_per_picture
        timestamp = (self.timestamp + picture * self.format.picture_ticks) % 2**32
        sequence = (self.sequence + index) % 2**16
        return Arrival(now_ns, path, self.run, index, sequence, timestamp, self.ssrc, 0)


@dataclass(frozen=True)
class Incident:
    """What the network does to `count` frames from the `at`-th on: loses, repeats or delays them."""

    kind: str
    path: int
    at: int
    count: int
    delay_ns: int


@dataclass(frozen=True)
class Network:
    delays_ns: tuple[int, int]
    jitter_ns: int  # arrivals are seen in bursts of so many ns
    incidents: tuple[Incident, ...]


def carry(lives: list[Life], network: Network) -> list[Arrival]:
    """All arrivals in order of time; frames are counted over all lives for incidents."""
    arrivals: list[Arrival] = []
    start_ns, count = SECOND_NS, 0
    for life in lives:
        for at, (sent_ns, index) in enumerate(life.send(start_ns), count):
            for path in (0, 1):
                arrival = life.arrival(sent_ns, path, index)
                unharmed = path == 0 and at - count < SETTLED_FRAMES
                arrivals += deliver(arrival, at, replace(network, incidents=()) if unharmed else network)
        count += life.frames
        start_ns += life.length * life.format.frame_ns
    arrivals.sort(key=lambda arrival: arrival.now_ns)
    return [replace(arrival, handle=number) for number, arrival in enumerate(arrivals)]


def deliver(arrival: Arrival, at: int, network: Network) -> Iterator[Arrival]:
    delays_ns, copies = [0], [0]
    for incident in network.incidents:
        if incident.path != arrival.path or not incident.at <= at < incident.at + incident.count:
            continue
        if incident.kind == "lose":
            copies = []
        elif incident.kind == "repeat":
            copies = [*copies, *(copy + incident.delay_ns for copy in copies[:1])]
        else:
            delays_ns.append(incident.delay_ns)
    for copy_ns in copies:
        seen_ns = arrival.now_ns + network.delays_ns[arrival.path] + max(delays_ns) + copy_ns
        yield replace(arrival, now_ns=seen_ns + -seen_ns % network.jitter_ns)


@st.composite
def lives(draw: st.DrawFn, window_ns: int) -> list[Life]:
    """One to four lives of a sender; each begins where no estimate from the one before could put it.

    Long pauses, and jumps of the timestamp, are only told apart once the clock is known: after eight windows.
    """
    shape = draw(st.sampled_from(FORMATS))
    ssrc, sequence, timestamp = 7, draw(st.integers(0, 65535)), draw(st.integers(0, 2**32 - 1))
    known_clock = shape.frame_ns * SETTLED_FRAMES // 2 > 8 * window_ns + 20_000_000
    result: list[Life] = []
    for run in range(draw(st.integers(1, 4))):
        frames = draw(st.integers(SETTLED_FRAMES, 700))
        pause = st.tuples(st.integers(SETTLED_FRAMES, 700), st.integers(1, 200_000 if known_clock else 1000))
        pauses = tuple(dict(draw(st.lists(pause, max_size=2 if known_clock else 1))).items())
        pauses = tuple(pause for pause in pauses if pause[0] < frames)
        life = Life(shape, run, frames, sequence, timestamp, ssrc, pauses)
        result.append(life)
        sequence = (sequence + life.length + draw(st.integers(20_000, 21_500))) % 65536
        pictures = -(-life.length // shape.frames_per_picture)
        timestamp = timestamp + pictures * shape.picture_ticks
        kinds = ["sequence only", "ssrc", "timestamp"] if known_clock else ["sequence only", "ssrc"]
        kind = draw(st.sampled_from(kinds))
        if kind == "timestamp":
            seconds = draw(st.integers(120, 10_000)) * draw(st.sampled_from([-1, 1]))
            timestamp += seconds * shape.clock_hz
        ssrc += kind == "ssrc"
        timestamp %= 2**32
    return result


@st.composite
def networks(draw: st.DrawFn, sender: list[Life], window_ns: int) -> Network:
    """Two numberings are known at a time: where the sender has several lives, none is as short as a delay."""
    frames = sum(life.frames for life in sender)
    life_ns = SETTLED_FRAMES * sender[0].format.frame_ns if len(sender) > 1 else 10 * SECOND_NS
    delay = st.one_of(
        st.just(0), st.integers(0, window_ns * 3 // 2), st.sampled_from([window_ns, window_ns + 1])
    )
    delay = delay.map(lambda delay_ns: min(delay_ns, life_ns // 3))
    reorder_ns = 20 * sender[0].format.frame_ns
    incident = st.builds(
        Incident,
        st.sampled_from(["lose", "lose", "repeat", "delay"]),
        st.sampled_from([0, 1]),
        st.integers(0, frames),
        st.one_of(st.just(1), st.integers(1, 20), st.integers(1, 100)),
        st.one_of(
            st.integers(0, reorder_ns), st.integers(0, window_ns * 2), st.integers(0, 3 * SECOND_NS)
        ).map(lambda delay_ns: min(delay_ns, life_ns // 3)),
    )
    return Network(
        (draw(delay), draw(delay)),
        draw(st.sampled_from([1, 1, 1000, 50_000])),
        tuple(draw(st.lists(incident, max_size=12))),
    )
