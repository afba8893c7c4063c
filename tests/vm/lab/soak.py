# SPDX-License-Identifier: Apache-2.0
"""Media for a long time: every frame compared, and the memory of daemon and worker watched meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from lab import deploy
from lab.capture import Frame
from lab.compare import compare_frames
from lab.exchange import describe_strangers
from lab.guest import Guest
from lab.media import Media
from lab.report import Report, say
from lab.ssh import Access
from lab.wire import Wire, replay, wait_quiet

PASS_S = 5.0
"""Media between two looks at everything: all its frames are kept to be compared (about 200 MB)."""
GROWTH_LIMIT_KIB = 256
_IDLE_S, _QUIET_S = 10.0, 1.5
_PARTS = 3


@dataclass
class Soaked:
    """What the passes found."""

    sent: int = 0
    passes: int = 0
    faults: list[str] = field(default_factory=list)
    memory_kib: dict[str, list[int]] = field(default_factory=dict)
    """Process -> its anonymous memory after each pass."""


def mix_media(media: Sequence[Media], seconds: float) -> list[Frame]:
    """All media at once, each over and over, for about `seconds`; by time."""
    frames: list[Frame] = []
    for one in media:
        first_ns = one.frames[0].time_ns
        period_ns = one.duration_ns + one.duration_ns // max(len(one.frames) - 1, 1)
        for turn in range(max(round(seconds * 1e9 / period_ns), 1)):
            shift_ns = turn * period_ns - first_ns
            frames += [Frame(frame.time_ns + shift_ns, frame.data) for frame in one.frames]
    return sorted(frames, key=lambda frame: frame.time_ns)


def find_growth_kib(samples: Sequence[int]) -> int:
    """How much the last third of the samples is above the second; the first third warms up. Needs three."""
    third = len(samples) // _PARTS
    if third == 0:
        raise ValueError(f"{len(samples)} samples; three passes at least tell of growth")
    return round(median(samples[-third:]) - median(samples[-2 * third : -third]))


def read_memory_kib(access: Access, pids: Mapping[str, int]) -> dict[str, int]:
    """RssAnon of each process (proc(5)): without files, whose pages come as they are first used."""
    files = " ".join(f"/proc/{pid}/status" for pid in pids.values())
    lines = access.read(f"grep -h ^RssAnon: {files}").splitlines()
    return dict(zip(pids, (int(line.split()[1]) for line in lines), strict=True))


def read_pids(status: Mapping[str, Any]) -> dict[str, int]:
    """The daemon and every worker."""
    workers = {f"worker {worker['name']}": int(worker["pid"]) for worker in status["workers"]}
    return {"daemon": int(status["daemon"]["pid"])} | workers


def soak(guest: Guest, media: Sequence[Media], seconds: float, slowdown: float, report: Report) -> int:
    """Send for `seconds`, one direction after the other, and record the checks; returns the frames sent."""
    (first, first_path), (second, second_path) = guest.cables
    frames = mix_media(media, min(PASS_S, seconds / (2 * _PARTS)) / slowdown)
    pids = read_pids(deploy.read_status(guest.access))
    soaked = Soaked(memory_kib={name: [] for name in pids})
    end = time.monotonic() + seconds
    with Wire(first_path) as a, Wire(second_path) as b:
        ways = [(f"{first} to {second}", a, b), (f"{second} to {first}", b, a)]
        while time.monotonic() < end:
            label, enters, leaves = ways[soaked.passes % len(ways)]
            _pass(label, enters, leaves, frames, slowdown, soaked)
            for name, kib in read_memory_kib(guest.access, pids).items():
                soaked.memory_kib[name].append(kib)
    judge(soaked, report)
    report.check(
        "nothing restarted in the soak", read_pids(deploy.read_status(guest.access)) == pids, f"pids {pids}"
    )
    return soaked.sent


def _pass(
    label: str, enters: Wire, leaves: Wire, frames: Sequence[Frame], slowdown: float, soaked: Soaked
) -> None:
    for wire in (enters, leaves):
        wire.take()
    took_s, _ = replay(enters, leaves, frames, slowdown)
    wait_quiet((enters, leaves), len(frames), _IDLE_S, _QUIET_S)
    result = compare_frames([frame.data for frame in frames], leaves.take())
    strangers = enters.take()
    soaked.passes += 1
    soaked.sent += len(frames)
    name = f"pass {soaked.passes}, {label}"
    if not result.identical:
        soaked.faults.append(f"{name}: {result.describe()}")
    if strangers:
        soaked.faults.append(f"{name}: {describe_strangers(strangers)}")
    say(f"  {name}: {result.describe()}, in {took_s:.1f} s")


def judge(soaked: Soaked, report: Report) -> None:
    """Record what the passes found as checks."""
    detail = f"{soaked.sent} frames in {soaked.passes} passes, byte-identical, in order, nothing else"
    report.check("every frame of the soak", not soaked.faults, "; ".join(soaked.faults[:3]) or detail)
    for name, samples in soaked.memory_kib.items():
        if len(samples) < _PARTS:
            report.check(f"memory of {name}", False, f"{len(samples)} passes do not tell; take more seconds")
            continue
        growth = find_growth_kib(samples)
        detail = f"{samples[0]} KiB after the first pass, {samples[-1]} after the last, growth {growth} KiB"
        report.check(f"memory of {name}", growth <= GROWTH_LIMIT_KIB, detail)
