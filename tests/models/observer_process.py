# SPDX-License-Identifier: Apache-2.0
"""The true observers of the fast path: `observe_events` (native/tests) fed with events, its counters read back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

EDITABLE = Path(__file__).resolve().parents[2] / "build" / "editable"
PROGRAM_VARIABLE = "OBSERVE_EVENTS"

Counters = dict[str, Any]


class ObserverProcessError(Exception):
    """The program is not built, or refused an event."""


@dataclass(frozen=True)
class RtpFrame:
    """A frame as an observer meets it; numbers and timestamps are those of the RTP header."""

    now_ns: int
    number: int
    timestamp: int
    ssrc: int = 1
    marker: bool = False
    length_bytes: int = 198

    @property
    def event(self) -> str:
        """As a line of input."""
        fields = (self.now_ns, int(self.marker), self.number, self.timestamp, self.ssrc, self.length_bytes)
        return "rtp " + " ".join(map(str, fields))


@cache
def find_program() -> str:
    """Path of the program, from OBSERVE_EVENTS or the editable build, which is brought up to date first."""
    named = os.environ.get(PROGRAM_VARIABLE)
    path = Path(named) if named else EDITABLE / "native" / "tests" / "observe_events"
    ninja = Path(sys.executable).parent / "ninja"
    if not named and ninja.exists() and (EDITABLE / "build.ninja").exists():
        command = [str(ninja), "-C", str(EDITABLE), "native/tests/observe_events"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise ObserverProcessError(f"ninja -C {EDITABLE}: {done.stdout[-2000:]}{done.stderr}")
    if not path.is_file():
        raise ObserverProcessError(f"{path} does not exist; run make setup, or set {PROGRAM_VARIABLE}")
    return str(path)


def run_program(text: str, *arguments: str) -> list[Any]:
    """The lines it prints."""
    done = subprocess.run(
        [find_program(), *arguments], input=text, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ObserverProcessError(f"exit {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def observe(events: Iterable[str]) -> list[Any]:
    """What the program prints for these events, line by line: of the observers, and the same in the true loop."""
    text = "".join(f"{event}\n" for event in events)
    seen = run_program(text)
    looped = run_program(text, "loop")
    assert looped == seen
    return seen


def observe_frames(frames: Iterable[RtpFrame]) -> Counters:
    """All counters after these frames."""
    counters: Counters = observe([*(frame.event for frame in frames), "read"])[-1]
    return counters
