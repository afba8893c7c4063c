# SPDX-License-Identifier: Apache-2.0
"""RTP counters of the fast path: as the slow model counts any stream, and as was injected into a good one."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .observer_process import RtpFrame, observe, observe_frames
from .rtp_model import SLACK_FRAMES, RtpModel

STEP_NS, STEP_TICKS, WRAP = 1_000_000, 48, 65536  # AES67: 48 samples each millisecond
thorough = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

START_NS = 1_000_000_000

# What a stream does next: how its number, timestamp and time go on. Small steps, and every kind of jump.
number_steps = st.one_of(
    st.just(1), st.just(1), st.integers(-130, 130), st.integers(2990, 3010), st.integers(0, WRAP - 1)
)
tick_steps = st.one_of(st.just(0), st.just(STEP_TICKS), st.integers(-2000, 2000), st.integers(0, 2**32 - 1))
ns_steps = st.one_of(st.just(0), st.just(STEP_NS), st.integers(0, 200), st.integers(0, 10**12))
consistent = st.tuples(st.just(0), st.integers(1, 300_000), st.just(0), st.just(0))
wild = st.tuples(number_steps, st.just(0), tick_steps, ns_steps)
regular = st.tuples(st.just(0), st.just(1), st.just(0), st.just(0))


@st.composite
def streams(draw: st.DrawFn) -> list[RtpFrame]:
    """Frames of video or audio that mostly follow each other, and do anything else."""
    per_picture = draw(st.sampled_from([1, 2, 10]))
    number, timestamp = draw(st.integers(0, WRAP - 1)), draw(st.integers(0, 2**32 - 1))
    now_ns, ssrc, place, frames = START_NS, 1, 0, []
    for by, on, ticks, ns in draw(
        st.lists(st.one_of(regular, regular, regular, regular, consistent, wild), max_size=150)
    ):
        if on:
            pictures, place = divmod(place + on, per_picture)
            number, timestamp = number + on, timestamp + pictures * STEP_TICKS
            now_ns += on * STEP_NS // per_picture
        sent_number, sent_timestamp, now_ns = number + by, timestamp + ticks, now_ns + ns
        if draw(st.integers(0, 60)) == 0:
            ssrc = draw(st.integers(1, 3))
        if draw(st.integers(0, 20)) == 0:
            number, timestamp = sent_number, sent_timestamp  # it goes on from there
        marker = per_picture > 1 and place == per_picture - 1
        frames.append(RtpFrame(now_ns, sent_number % WRAP, sent_timestamp % 2**32, ssrc, marker))
    return frames


@thorough
@given(streams())
def test_any_stream_is_counted_as_the_model_counts(frames: list[RtpFrame]) -> None:
    model = RtpModel()
    for frame in frames:
        model.take(frame)
    seen = observe_frames(frames)["rtp"]
    assert seen["frames"] == len(frames)
    if frames:
        assert {name: seen[name] for name in model.counters()} == model.counters()


@dataclass
class Studio:
    """An audio sender and what happens to its frames on the way; `truth` is what was injected."""

    number: int
    timestamp: int = 4_000_000_000
    now_ns: int = START_NS
    ssrc: int = 5
    skipped: int = 0
    sent: list[int] = field(default_factory=list)  # of this run, not wrapped
    frames: list[RtpFrame] = field(default_factory=list)
    truth: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.truth = dict.fromkeys(
            ("lost_frames", "reordered_frames", "duplicated_frames", "gaps", "largest_gap_frames", "long_gaps",
             "restarts", "ssrc_changes"), 0
        )  # fmt: skip
        self.send(5)

    def put(self, number: int) -> None:
        self.frames.append(RtpFrame(self.now_ns, number % WRAP, self.timestamp % 2**32, self.ssrc))

    def step(self, frames: int = 1) -> None:
        self.number += frames
        self.timestamp += frames * STEP_TICKS
        self.now_ns += frames * STEP_NS

    def send(self, count: int) -> None:
        for _ in range(count):
            self.truth["gaps"] += self.skipped > 0
            self.truth["long_gaps"] += self.skipped + 1 > WRAP // 2
            self.truth["largest_gap_frames"] = max(self.truth["largest_gap_frames"], self.skipped)
            self.skipped = 0
            self.put(self.number)
            self.sent.append(self.number)
            self.step()

    def lose(self, count: int) -> None:
        self.truth["lost_frames"] += count
        self.skipped += count
        self.step(count)

    def delay(self, by: int) -> None:
        """One frame comes after the `by` next ones."""
        late = self.number
        self.lose(1)
        self.send(by)
        self.put(late)
        self.sent.append(late)
        self.truth["lost_frames"] -= 1
        self.truth["reordered_frames"] += 1

    def copy(self, back: int) -> None:
        number = max(self.sent) - back
        if number in self.sent:
            self.put(number)
            self.truth["duplicated_frames"] += 1

    def pause(self, frames: int) -> None:
        self.timestamp += frames * STEP_TICKS
        self.now_ns += frames * STEP_NS

    def restart(self, by: int) -> None:
        """Begin elsewhere, at another time, with the same SSRC."""
        self.flush()
        self.number, self.timestamp = self.number + by, self.timestamp - 10**6
        self.sent = []
        self.send(5)
        self.truth["restarts"] += 1

    def change_ssrc(self, by: int) -> None:
        self.flush()
        self.number, self.ssrc, self.sent = self.number + by, self.ssrc + 1, []
        self.send(5)
        self.truth["ssrc_changes"] += 1

    def flush(self) -> None:
        """What is lost before a new start nobody can know."""
        if self.skipped:
            self.send(1)


actions = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 60)),
    st.tuples(st.just("lose"), st.integers(1, 2500)),
    st.tuples(st.just("lose"), st.integers(3000, 400_000)),
    st.tuples(st.just("delay"), st.integers(1, 99)),
    st.tuples(st.just("copy"), st.integers(0, 99)),
    # A shorter one cannot be told from slow sending, and a flow of a few frames has no other experience.
    st.tuples(st.just("pause"), st.integers(SLACK_FRAMES + 1, 60_000)),
    st.tuples(st.just("restart"), st.integers(4000, 60_000)),
    st.tuples(st.just("change_ssrc"), st.integers(0, 65535)),
)


@thorough
@given(st.integers(0, WRAP - 1), st.lists(actions, max_size=12))
def test_what_was_injected_is_counted(number: int, todo: list[tuple[str, int]]) -> None:
    studio = Studio(number)
    for name, amount in todo:
        getattr(studio, name)(amount)
        studio.send(1)
    seen = observe_frames(studio.frames)["rtp"]
    assert {name: seen[name] for name in studio.truth} == studio.truth
    assert seen["stray_frames"] == 0
    assert seen["frames"] == len(studio.frames)


def test_video_loses_more_than_a_wrap() -> None:
    """Frames of one picture share a timestamp: exact all the same, at 1080p50 with 100,000 frames lost."""
    frames = []
    for index in [*range(60_000), *range(160_000, 170_000)]:
        picture, place = divmod(index, 4320)
        now_ns = START_NS + index * 20_000_000 // 4320
        frames.append(RtpFrame(now_ns, index % WRAP, picture * 1800, 1, place == 4319, 1262))
    seen = observe_frames(frames)["rtp"]
    assert (seen["lost_frames"], seen["gaps"], seen["long_gaps"]) == (100_000, 1, 1)
    assert seen["restarts"] + seen["stray_frames"] == 0
    assert seen["picture_frames"] == 4320
    assert (seen["picture_min_ns"], seen["picture_max_ns"]) == (20_000_000, 20_000_000)
    assert seen["pictures"] == 15


@given(st.lists(st.tuples(st.integers(0, 2**34), st.booleans()), max_size=60))
@thorough
def test_intervals_and_other_frames(steps: list[tuple[int, bool]]) -> None:
    now_ns, wanted, events, number = START_NS, [0] * 24, ["arrivals"], 0
    for index, (step_ns, is_rtp) in enumerate(steps):
        now_ns += step_ns
        if index > 0:  # bucket i begins at 2^(i+4) ns, the first two at 0 and 1
            begins = [0, 1, *(2 ** (bucket + 4) for bucket in range(2, 24))]
            wanted[sum(step_ns >= begin for begin in begins) - 1] += 1
        number += is_rtp
        events.append(RtpFrame(now_ns, number, 7).event if is_rtp else f"other {now_ns} 60")
    seen = observe([*events, "read"])[-1]
    others = sum(not is_rtp for _, is_rtp in steps)
    assert seen["arrivals"] == wanted
    assert seen["rtp"]["other_frames"] == others
    assert seen["rtp"]["bytes"] == 60 * others + 198 * (len(steps) - others)
    if steps:
        assert (seen["rtp"]["first_ns"], seen["rtp"]["last_ns"]) == (START_NS + steps[0][0], now_ns)
