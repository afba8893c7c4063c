# SPDX-License-Identifier: Apache-2.0
"""The merge of two ST 2022-7 paths (native/src/merge.h) against the model, on random senders and networks.

Every verdict, the order of what goes out and every counter is compared.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from .media_stream import SECOND_NS, carry, lives, networks
from .merge_model import Arrival, MergeModel

ROOT = Path(__file__).resolve().parents[2]
PROGRAM_VARIABLE = "REPLAY_MERGE"
MILLISECOND_NS = 1_000_000


@cache
def find_program(name: str) -> str:
    """The program, rebuilt; `REPLAY_MERGE=<path>` takes another, of a sanitizer build for instance."""
    if PROGRAM_VARIABLE in os.environ:
        return os.environ[PROGRAM_VARIABLE]
    build = ROOT / "build" / "editable"
    target = f"native/tests/{name}"
    subprocess.run(["ninja", "-C", str(build), target], check=True, capture_output=True)
    return str(build / target)


def is_read_after(frame: Arrival) -> bool:
    """Counters are compared on the way too, where frames are just about to be judged."""
    return frame.handle % 50 == 49


def replay(model: MergeModel, arrivals: list[Arrival], end_ns: int, program: str) -> list[str]:
    """What the C part says."""
    lines = [f"{model.window_ns} {model.silence_ns} {model.slots} {model.hold_frames}"]
    for frame in arrivals:
        lines.append(
            f"f {frame.now_ns} {frame.path} {frame.sequence} {frame.timestamp} {frame.ssrc} {frame.handle}"
        )
        lines += [f"r {frame.now_ns}"] * is_read_after(frame)
    lines += [f"t {end_ns}", f"r {end_ns}"]
    text = "\n".join(lines)
    done = subprocess.run([find_program(program)], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def expect(model: MergeModel, arrivals: list[Arrival], end_ns: int) -> list[str]:
    """What the model says."""
    lines = []
    for frame in arrivals:
        went = len(model.out)
        verdict = model.offer(frame)
        lines += [*(f"out {handle}" for handle in model.out[went:]), verdict]
        lines += model.read(frame.now_ns) if is_read_after(frame) else []
    went = len(model.out)
    model.release(end_ns)
    lines += [f"out {handle}" for handle in model.out[went:]]
    return [*lines, *model.read(end_ns)]


FIRST = {"forward": "first", "hold": "first"}


def compare(model: MergeModel, arrivals: list[Arrival], program: str = "replay_merge") -> None:
    """Line by line. The loop does not say whether a first copy was held."""
    end_ns = max(arrival.now_ns for arrival in arrivals) + 2 * SECOND_NS
    seen, wanted = replay(model, arrivals, end_ns, program), expect(model, arrivals, end_ns)
    wanted = [FIRST.get(line, line) for line in wanted] if program == "replay_loop" else wanted
    number = 0
    for got, want in zip(seen, wanted, strict=False):
        assert got == want, f"at {arrivals[number] if number < len(arrivals) else 'the end'}"
        number += want in {"first", "forward", "hold", "merged", "duplicate", "late"}
    assert len(seen) == len(wanted)


@given(st.data())
def test_random_streams(data: st.DataObject) -> None:
    window_ns = data.draw(
        st.sampled_from([150_000, 10 * MILLISECOND_NS, 50 * MILLISECOND_NS, 450 * MILLISECOND_NS])
    )
    hold_frames = data.draw(st.sampled_from([0, 0, 1, 20, 300]), label="hold frames")
    sender = data.draw(lives(window_ns), label="lives")
    network = data.draw(networks(sender, window_ns), label="network")
    slots = data.draw(st.sampled_from([512, 1024]), label="slots")
    model = MergeModel(window_ns, max(window_ns, 200 * MILLISECOND_NS), slots, hold_frames)
    arrivals = carry(sender, network)
    if arrivals:
        compare(model, arrivals)
        check_promises(model, arrivals)


@given(st.data())
def test_random_streams_through_the_loop(data: st.DataObject) -> None:
    """The same merge in the frame loop: ports, table, accounts, buffers and state segment around it change nothing."""
    hold_frames = data.draw(st.sampled_from([0, 1, 20, 300]), label="hold frames")
    window_ns = data.draw(st.sampled_from([150_000, 10 * MILLISECOND_NS, 450 * MILLISECOND_NS]))
    sender = data.draw(lives(window_ns), label="lives")
    network = data.draw(networks(sender, window_ns), label="network")
    model = MergeModel(window_ns, max(window_ns, 200 * MILLISECOND_NS), 1024, hold_frames)
    arrivals = carry(sender, network)
    if arrivals:
        compare(model, arrivals, "replay_loop")
        check_promises(model, arrivals)


def check_promises(model: MergeModel, arrivals: list[Arrival]) -> None:
    """What holds whatever the model thinks: every frame in one verdict, nothing goes out that did not come."""
    assert sum(model.verdicts.values()) == len(arrivals)
    assert len(set(model.out)) == len(model.out)
    taken = sum(count for (_path, verdict), count in model.verdicts.items() if verdict in {"forward", "hold"})
    assert taken == len(model.out)
