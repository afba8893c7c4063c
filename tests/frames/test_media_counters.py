# SPDX-License-Identifier: Apache-2.0
"""Every counter of media in `status --json`, each made to count by a script that injects its cause.

Values follow from the script by hand. Whatever a busy machine could change is not compared: windows are a second where
frames have to be in time, and a pause follows where they must not be; frames of one burst come at the same time.
"""

import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .media_status import (
    DSCP,
    FRAME_BYTES,
    OTHER_SSRC,
    PAYLOAD_TYPE,
    SOURCE,
    SSRC,
    TICKS,
    UDP_PORT,
    UDP_SOURCE,
    UNKNOWN_GROUP,
    Burst,
    Frame,
    Gap,
    NotRtp,
    Pause,
    Seen,
    Step,
    run_script,
)

ROOT = Path(__file__).parents[2]
MEDIA = runpy.run_path(str(ROOT / "docs" / "media_counters.py"))

PORTS = """\
version: 1
discover: true
ports:
  - {name: a, device: "memory:a"}
  - {name: b, device: "memory:b"}
  - {name: out, device: "memory:c"}
"""
OBSERVED = (
    PORTS
    + """\
routes:
  - name: flow
    match: {port: a, group: 239.1.2.1, udp_port: 5004}
    observe: {arrivals: true}
    outputs: [out]
"""
)
# 20 packets a picture of 20 ms: Cmax is 4, VRXFULL 8 (ST 2110-21, 7.1.2).
PACED = OBSERVED.replace(
    "{arrivals: true}",
    "{pacing: {rate: 50, packets: 20, active_lines: 1080, total_lines: 1125, sender: N}}",
)
# All comes in time, unless a script waits longer than a second.
WIDE = (
    PORTS
    + """\
routes:
  - name: flow
    protect:
      a: {port: a, group: 239.1.2.1, udp_port: 5004}
      b: {port: b, group: 239.1.2.2, udp_port: 5004}
      window_us: 1000000
      frames_per_s: 1000
    outputs: [{port: out, group: 239.9.9.9}]
"""
)
# What comes after a pause is too late, a path that pauses silent.
SHORT = WIDE.replace("window_us: 1000000", "window_us: 1000\n      silence_ms: 1")
ORDERED = WIDE.replace("window_us: 1000000", "window_us: 1000000\n      release: in-order")
# A window of one frame, and another to spare: two may be held.
CROWDED = ORDERED.replace("frames_per_s: 1000", "frames_per_s: 1")
OVER = Pause(20)

RTP, PACING = "routes[].rtp", "routes[].pacing"
PATH, FLOW, LISTED = "protected[].a, protected[].b", "protected[]", "discovered[]"

Judge = Callable[[Any, Seen], bool]


def during(value: int, seen: Seen) -> bool:
    """A time of the script."""
    return seen.began_ns <= value <= seen.ended_ns


def some(value: int, _seen: Seen) -> bool:
    return value > 0


def negative(value: int, _seen: Seen) -> bool:
    return value < 0


def adds_up_to(count: int) -> Judge:
    def judge(value: list[int], _seen: Seen) -> bool:
        return sum(value) == count

    return judge


@dataclass
class Case:
    """A script and the counters it moves, by where they are; of paths those of B where `path` says so."""

    config: str
    steps: Sequence[Step]
    wanted: dict[str, dict[str, Any]]
    path: str = "a"
    zero: dict[str, list[str]] = field(default_factory=dict)
    ends: bool = True
    account: dict[str, int] = field(default_factory=dict)


def numbers(at: str, *given: int) -> list[Frame]:
    return [Frame(at, number) for number in given]


def marked(first: int, last: int) -> list[Frame]:
    """A picture: its last frame has the marker."""
    return [Frame("a", number, marker=number == last) for number in range(first, last + 1)]


CASES: dict[str, Case] = {
    "steady": Case(
        OBSERVED,
        [Frame("a", number, marker=number in (1, 3)) for number in range(5)],
        {
            RTP: {
                "frames": 5,
                "bytes": 5 * FRAME_BYTES,
                "expected_frames": 5,
                "first_ns": during,
                "last_ns": during,
                "pictures": 2,
                "first_picture_ns": during,
                "last_picture_ns": during,
                "picture_intervals": 1,
                "picture_min_ns": some,
                "picture_max_ns": some,
                "picture_frames": 2,
                "ssrc": SSRC,
                "sequence": 4,
                "timestamp": 4 * TICKS,
                "arrivals": adds_up_to(4),
            }
        },
        zero={RTP: ["lost_frames", "gaps", "other_frames", "duplicated_frames", "stray_frames", "restarts"]},
    ),
    "not RTP": Case(
        OBSERVED, [Frame("a", 1), NotRtp("a")], {RTP: {"frames": 1, "other_frames": 1, "bytes": FRAME_BYTES + 46}}
    ),
    "a gap": Case(
        OBSERVED,
        numbers("a", 10, 11, 15, 16, 18),
        {RTP: {"frames": 5, "expected_frames": 9, "lost_frames": 4, "gaps": 2, "largest_gap_frames": 3}},
    ),
    "out of order": Case(
        OBSERVED, numbers("a", 1, 3, 2, 4), {RTP: {"reordered_frames": 1, "gaps": 1}}, zero={RTP: ["lost_frames"]}
    ),
    "twice": Case(OBSERVED, numbers("a", 1, 2, 2, 3), {RTP: {"duplicated_frames": 1, "frames": 4}}),
    "one from elsewhere": Case(
        OBSERVED,
        [*numbers("a", *range(8)), Frame("a", 30000, ticks=5), *numbers("a", 8, 9)],
        {RTP: {"stray_frames": 1, "expected_frames": 10}},
        zero={RTP: ["lost_frames", "restarts"]},
    ),
    "the sender begins anew": Case(
        OBSERVED,
        [*numbers("a", *range(8)), *(Frame("a", 30000 + more, ticks=5 + more) for more in range(3))],
        {RTP: {"restarts": 1, "sequence": 30002}},
        zero={RTP: ["ssrc_changes", "lost_frames"]},
    ),
    "another sender": Case(
        OBSERVED,
        [*numbers("a", *range(8)), *(Frame("a", 30000 + more, ssrc=OTHER_SSRC) for more in range(3))],
        {RTP: {"ssrc_changes": 1, "ssrc": OTHER_SSRC}},
        zero={RTP: ["restarts", "lost_frames"]},
    ),
    "a wrap": Case(OBSERVED, numbers("a", 65534, 65535, 65536, 65537), {RTP: {"wraps": 1, "expected_frames": 4}}),
    "a gap longer than the numbers": Case(
        OBSERVED,
        [
            *(Burst(numbers("a", *range(first, first + 60))) for first in range(0, 12_000, 60)),
            Gap(65536),
            *numbers("a", 65536 + 12_000, 65536 + 12_001),
        ],
        {RTP: {"long_gaps": 1, "gaps": 1, "lost_frames": 65536, "largest_gap_frames": 65536}},
    ),
    "a picture at once": Case(
        PACED,
        [Burst([Frame("a", 0, marker=True), *marked(1, 20)])],
        {
            # 21 frames at the same time: 1, 2, … 21 in the bucket; the first of the picture is read when it comes.
            PACING: {
                "cinst_frames": 21,
                "cinst_max_frames": 21,
                "cinst_over_frames": 21 - 4,
                "vrx_frames": 19,
                "vrx_max_frames": 19,
                "vrx_span_frames": 19,
                "vrx_over_frames": 19 - 8,
                "pictures_judged": 1,
            }
        },
        zero={PACING: ["vrx_min_frames", "vrx_late_frames", "pictures_skipped"]},
    ),
    "a picture too late": Case(
        PACED,
        [Burst([Frame("a", 0, marker=True), Frame("a", 1)]), Pause(30), Burst(marked(2, 6))],
        # All 20 would have been read: 2 - 20 to 6 - 20.
        {PACING: {"vrx_late_frames": 5, "vrx_min_frames": -18, "vrx_frames": -14, "pictures_judged": 1}},
        zero={PACING: ["vrx_max_frames", "vrx_over_frames"]},
    ),
    "a picture without a beginning": Case(
        PACED, [Frame("a", 0, marker=True), *numbers("a", 2, 3)], {PACING: {"pictures_skipped": 1}}
    ),
    "two copies, A first": Case(
        WIDE,
        [Frame(at, number) for number in range(10) for at in ("a", "b")],
        {
            PATH: {"received_frames": 10, "forwarded_frames": 10, "last_ns": during},
            FLOW: {
                "differential_frames": 10,
                "differential_sum_ns": some,
                "differential_min_ns": some,
                "differential_max_ns": some,
                "leads_a": adds_up_to(10),
                "leads_b": adds_up_to(0),
            },
        },
        zero={PATH: ["merged_frames", "late_frames", "duplicate_frames", "outages"], FLOW: ["lost_frames", "silences"]},
    ),
    "two copies, B first": Case(
        WIDE,
        [Frame(at, number) for number in range(10) for at in ("b", "a")],
        {
            PATH: {"merged_frames": 10},
            FLOW: {"differential_min_ns": negative, "differential_max_ns": negative, "leads_b": adds_up_to(10)},
        },
        zero={PATH: ["forwarded_frames", "lost_frames"]},
    ),
    "the same path twice": Case(
        WIDE, numbers("a", 1, 2, 2, 3), {PATH: {"duplicate_frames": 1, "received_frames": 4, "forwarded_frames": 3}}
    ),
    "too late": Case(
        SHORT,
        [*numbers("a", 1, 2, 3), OVER, *numbers("b", 1, 2, 3), OVER],
        {PATH: {"late_frames": 3, "lost_frames": 3}},
        path="b",
        zero={FLOW: ["lost_frames", "differential_frames"]},
    ),
    "lost on both": Case(
        SHORT, [*numbers("a", 1, 2, 5, 6), OVER], {PATH: {"lost_frames": 2}, FLOW: {"lost_frames": 2}}
    ),
    "a hole filled": Case(
        WIDE, [*numbers("a", 1, 3), Frame("b", 2)], {FLOW: {"filled_frames": 1}}, zero={FLOW: ["lost_frames"]}
    ),
    "a merge's stray": Case(
        WIDE,
        [*numbers("a", *range(8)), Frame("a", 30000, ticks=2**31)],
        {FLOW: {"stray_frames": 1}},
        zero={FLOW: ["restarts", "lost_frames"]},
    ),
    "a merge's sender begins anew": Case(
        WIDE,
        [*numbers("a", *range(8)), *(Frame("a", 30000 + more, ticks=2**31 + more) for more in range(3))],
        {FLOW: {"restarts": 1}},
        zero={FLOW: ["ssrc_changes", "stray_frames", "lost_frames"]},
    ),
    "a merge's sender is another": Case(
        WIDE,
        [*numbers("a", *range(8)), *(Frame("a", 30000 + more, ssrc=OTHER_SSRC) for more in range(3))],
        {FLOW: {"ssrc_changes": 1}},
        zero={FLOW: ["restarts", "stray_frames"]},
    ),
    "a path is silent": Case(
        SHORT,
        [*numbers("b", 1), *numbers("a", 1, 2), OVER, *numbers("a", 3), *numbers("b", 3)],
        {PATH: {"outages": 1}},
        path="b",
    ),
    "both paths are silent": Case(
        SHORT, [*numbers("a", 1), OVER, *numbers("a", 2)], {FLOW: {"silences": 1}, PATH: {"outages": 1}}
    ),
    "held behind a hole": Case(
        ORDERED,
        numbers("a", 1, 3, 4),
        {FLOW: {"held_frames": 2, "most_held_frames": 2}, PATH: {"forwarded_frames": 3}},
        zero={FLOW: ["filled_frames", "skipped_frames", "lost_frames"]},
        ends=False,
        account={"received_frames": 3, "forwarded_frames": 1, "held_frames": 2},
    ),
    "held until the hole is filled": Case(
        ORDERED,
        [*numbers("a", 1, 3, 4), Frame("b", 2)],
        {FLOW: {"filled_frames": 1, "most_held_frames": 2}},
        zero={FLOW: ["held_frames", "skipped_frames", "lost_frames"]},
        ends=False,
        account={"received_frames": 4, "forwarded_frames": 4, "held_frames": 0},
    ),
    "held until the end": Case(
        ORDERED,
        numbers("a", 1, 3, 4),
        {FLOW: {"most_held_frames": 2}},
        zero={FLOW: ["held_frames"]},
        account={"received_frames": 3, "forwarded_frames": 3, "held_frames": 0},
    ),
    "more than may be held": Case(
        CROWDED,
        numbers("a", 1, 3, 4, 5),
        {FLOW: {"skipped_frames": 1, "most_held_frames": 2}},
        zero={FLOW: ["held_frames"]},
        ends=False,
        account={"received_frames": 4, "forwarded_frames": 4, "held_frames": 0},
    ),
    "no route": Case(
        OBSERVED,
        [Frame("b", 1, group=UNKNOWN_GROUP), NotRtp("b", group=UNKNOWN_GROUP), Frame("b", 2, group=UNKNOWN_GROUP)],
        {
            LISTED: {
                "worker": "main", "port": "b", "vlan": None, "inner_vlan": None, "source": SOURCE,
                "udp_source": UDP_SOURCE, "destination": UNKNOWN_GROUP, "udp_port": UDP_PORT, "dscp": DSCP,
                "payload_type": PAYLOAD_TYPE, "ssrc": SSRC, "frames": 3, "bytes": 2 * FRAME_BYTES + 46,
                "rtp_frames": 2, "first_ns": during, "last_ns": during,
            }
        },
    ),
    "no route for this VLAN": Case(
        OBSERVED, [Frame("a", 1, vlan=100)], {LISTED: {"vlan": 100, "frames": 1, "bytes": FRAME_BYTES + 4}}
    ),
}  # fmt: skip

# `paths` are PATH, `key` is told by names of its own.
NOT_SHOWN = {FLOW: {"paths"}, LISTED: {"key"}}


def find_record(seen: Seen, place: str, path: str) -> dict[str, Any]:
    section, _, field_name = place.partition("[]")
    (record,) = seen.document[section] if section != "routes" else seen.document["routes"][:1]
    if place == PATH:
        return dict(record[path])
    return dict(record[field_name.removeprefix(".")] if field_name else record)


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_counted(name: str, tmpfs: Path) -> None:
    case = CASES[name]
    seen = run_script(tmpfs / name.replace(" ", "-"), case.config, case.steps, case.ends)
    for place, counters in case.wanted.items():
        record = find_record(seen, place, case.path)
        for counter, wanted in counters.items():
            value = record[counter]
            told = (place, counter, value)
            assert wanted(value, seen) if callable(wanted) else value == wanted, told
    for place, counters_at_0 in case.zero.items():
        record = find_record(seen, place, case.path)
        assert {counter: record[counter] for counter in counters_at_0} == dict.fromkeys(counters_at_0, 0)
    worker = seen.document["workers"][0]
    assert worker["balanced"]
    assert {field: worker["account"][field] for field in case.account} == case.account


@pytest.mark.parametrize("struct", sorted(MEDIA["STRUCTS"]))
def test_every_counter_has_a_cause(struct: str) -> None:
    """A new counter in fastpath.h needs a script above."""
    place = MEDIA["STRUCTS"][struct][0]
    documented = {counter.name for counter in MEDIA["read_counters"](struct)}
    injected = {
        counter
        for case in CASES.values()
        for counter, wanted in case.wanted.get(place, {}).items()
        if callable(wanted) or wanted
    }
    missing = documented - injected - NOT_SHOWN.get(place, set())
    assert missing == set()
