# SPDX-License-Identifier: Apache-2.0
"""What is done to each driver in a guest, and what the serial log says of it. Values in, values out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from driver_builds.lab import hardware
from driver_builds.plan import NETMAP

RELOADS = 5
LINES = 10

_MARK = re.compile(r"driver-builds\|([^|]*)\|([^|]*)\|(ok|failed|says)\|(.*)")
_STAMP = re.compile(r"^(?:<[0-9]+>)?\[\s*[0-9.]+\](?:\[[^]]*\])?\s?")
_TROUBLE = re.compile(
    r"WARNING:|BUG:|Oops|Call Trace|general protection|Kernel panic|disagrees about version|Unknown symbol"
    r"|blocked for more than|[Ee]mulated adapter"
)
_ADAPTER = re.compile(r"adapter (\S+) (native|virtual) tx ([0-9]+)\*([0-9]+) rx ([0-9]+)\*([0-9]+)")
_MOVED = re.compile(r"moved ([0-9]+) frames from (\S+) to (\S+)")

Evidence = Literal["moved", "loaded", "failed"]


@dataclass(frozen=True, slots=True)
class Case:
    """One module's test: `ports` is where its two ports come from ("mac:PREFIX", "veth"), or None to load only.

    `needed` are the modules loaded before it, in that order.
    """

    name: str
    ports: str | None
    needed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was seen of one module. `frames` counts both ways; `rings` is like "tx 1*256 rx 1*256"."""

    evidence: Evidence
    reason: str
    lines: tuple[str, ...] = ()
    adapter: str | None = None
    rings: str | None = None
    frames: int = 0
    reloads: int = 0
    remove_while_open: str | None = None


@dataclass(slots=True)
class Part:
    """The piece of a serial log that belongs to one module."""

    lines: list[str] = field(default_factory=list)
    failed: str | None = None
    last_step: str = ""
    ended: bool = False
    loads: int = 0
    moves: dict[tuple[str, str], int] = field(default_factory=dict)
    adapter: tuple[str, str] | None = None
    remove_while_open: str | None = None


def plan_cases(
    names: Sequence[str], devices: Mapping[str, str], needed: Mapping[str, Sequence[str]]
) -> list[Case]:
    """The test of each driver: frames are moved where there is hardware, or where none is needed."""
    cases = []
    for number, name in enumerate(names):
        ports = f"mac:{get_prefix(number)}" if name in devices else None
        cases.append(Case(name, hardware.VETH if name == hardware.VETH else ports, tuple(needed[name])))
    return cases


def get_prefix(number: int) -> str:
    """The first five bytes of the MAC addresses of a driver's NICs: locally administered."""
    return f"52:54:00:00:{number:02x}"


def render_init(cases: Sequence[Case]) -> str:
    """The guest's first process: netmap, then one driver after the other."""
    script = (files("driver_builds.lab") / "guest.sh").read_text("utf-8")
    lines = ["test_netmap"]
    for case in cases:
        needed = " ".join(case.needed)
        what = f"test_moving {case.name} {case.ports}" if case.ports else f"test_loading {case.name}"
        lines.append(f"{what} {needed}".rstrip())
    return script + "\n".join([*lines, "unload_netmap", "finish"]) + "\n"


def split_serial(serial: str) -> dict[str, Part]:
    """The serial log by subject: what the guest said of it, and all the kernel said meanwhile."""
    parts: dict[str, Part] = {}
    current: Part | None = None
    for raw in serial.splitlines():
        line = _STAMP.sub("", raw.rstrip())
        mark = _MARK.search(line)
        if mark is None:
            if current is not None and line:
                current.lines.append(line)
            continue
        subject, step, how, text = mark.groups()
        current = parts.setdefault(subject, Part())
        _note(current, step, how, text)
        if step == "end":
            current = None
    return parts


def _note(part: Part, step: str, how: str, text: str) -> None:
    part.last_step = step
    part.ended = part.ended or step == "end"
    if how != "ok":
        part.lines.append(f"{step}: {text}")
    if how == "failed" and part.failed is None:
        part.failed = f"{step}: {text}"
    if how == "ok" and step == "load":
        part.loads += 1
    if how == "ok" and step == "remove-open":
        part.remove_while_open = text
    if adapter := _ADAPTER.fullmatch(text):
        part.adapter = adapter[2], text.partition(f"{adapter[2]} ")[2]
    if moved := _MOVED.fullmatch(text):
        way = moved[2], moved[3]
        part.moves[way] = part.moves.get(way, 0) + int(moved[1])


def judge(case: Case, part: Part, why_not_moved: str, trouble: str = "") -> Verdict:
    """What the log of one module amounts to.

    `why_not_moved` is the reason when loading is all there is, `trouble` what QEMU itself ended with.
    """
    first = next((index for index, line in enumerate(part.lines) if _TROUBLE.search(line)), None)
    frames = sum(part.moves.values())
    adapter, rings = part.adapter or (None, None)
    seen = {"adapter": adapter, "rings": rings, "remove_while_open": part.remove_while_open}
    if not part.ended:
        reason = f"the guest stopped after step {part.last_step}" + (f"; {trouble}" if trouble else "")
        return _fail(part, reason, len(part.lines) - LINES if first is None else first)
    if first is not None:
        return _fail(part, f"the kernel log says: {part.lines[first]}", first)
    if part.failed is not None:
        return _fail(part, part.failed, len(part.lines) - LINES)
    wanted = "virtual" if case.name == NETMAP else "native"
    if case.ports is None and case.name != NETMAP:
        return Verdict("loaded", why_not_moved, reloads=part.loads)
    if adapter != wanted or len(part.moves) != 2 or min(part.moves.values()) == 0:
        return _fail(part, f"adapter {adapter}, moved {part.moves}: frames both ways were wanted", 0)
    reason = f"{frames} frames, both ways, byte by byte; {adapter} adapter"
    return Verdict("moved", reason, frames=frames, reloads=part.loads, **seen)  # type: ignore[arg-type]


def _fail(part: Part, reason: str, first: int) -> Verdict:
    first = max(0, first)
    adapter, rings = part.adapter or (None, None)
    return Verdict(
        "failed",
        reason,
        tuple(part.lines[first : first + LINES]),
        adapter,
        rings,
        sum(part.moves.values()),
        part.loads,
        part.remove_while_open,
    )
