# SPDX-License-Identifier: Apache-2.0
"""The hunks of a unified diff, and where in today's source a rejected one would belong."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HEAD = re.compile(r"@@ -(?P<line>[0-9]+)(?:,(?P<old>[0-9]+))? \+[0-9]+(?:,(?P<new>[0-9]+))? @@(?P<head>.*)")
# A line that begins a definition at file level; a label is none.
_DEFINITION = re.compile(r"[A-Za-z_](?!\w*:\s*$)")
_NAME = re.compile(r"\b(\w+)\s*\(")
# Lines like "}" or "return 0;" stand everywhere; they say nothing about a place.
_SHORTEST_WORD_LINE = 12


@dataclass(frozen=True, slots=True)
class DiffHunk:
    """One hunk: `old` are the lines it expects, `line` where it expects the first of them.

    `function` is the one its head names, in which it begins; None when it names none.
    """

    file: str
    number: int
    line: int
    old: tuple[str, ...]
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where most of a hunk's old lines are: `missing` is the first line that is not there, if any."""

    line: int
    matching: int
    wanted: int
    missing: str | None


def parse_hunks(patch: str) -> list[DiffHunk]:
    """All hunks of a unified diff; files without their first folder, as `patch --strip=1` takes them."""
    hunks: list[DiffHunk] = []
    file, number = "", 0
    lines = iter(patch.splitlines())
    for text in lines:
        if text.startswith("+++ "):
            file, number = text[4:].split("\t")[0].split("/", 1)[-1], 0
        elif match := _HEAD.match(text):
            number += 1
            old = _take_old(lines, int(match["old"] or 1), int(match["new"] or 1))
            name = _NAME.search(match["head"])
            hunks.append(DiffHunk(file, number, int(match["line"]), old, name[1] if name else None))
    return hunks


def _take_old(lines: Iterator[str], old_left: int, new_left: int) -> tuple[str, ...]:
    """The old lines of a hunk whose head gave these numbers of lines."""
    old: list[str] = []
    while old_left > 0 or new_left > 0:
        text = next(lines, None)
        if text is None:
            break
        if not text.startswith(("+", "\\")):
            old.append(text[1:])
            old_left -= 1
        if not text.startswith(("-", "\\")):
            new_left -= 1
    return tuple(old)


def find_place(hunk: DiffHunk, source: str) -> Place | None:
    """Where in `source` most of the hunk's telling lines stand near each other; None when none does."""
    lines = [line.strip() for line in source.splitlines()]
    telling = [line.strip() for line in hunk.old if len(line.strip()) >= _SHORTEST_WORD_LINE]
    if not telling:
        return None
    # Room for a few lines that came in between.
    window = len(hunk.old) + 6
    spots = [number for number, line in enumerate(lines) if line in set(telling)]
    best = max(spots, key=lambda spot: (_count(telling, lines[spot : spot + window]), -spot), default=None)
    if best is None:
        return None
    there = lines[best : best + window]
    missing = next((line for line in telling if line not in there), None)
    return Place(best + 1, _count(telling, there), len(telling), missing)


def _count(wanted: Sequence[str], there: Sequence[str]) -> int:
    present = set(there)
    return sum(line in present for line in wanted)


def find_function_before(source: str, line: int) -> str | None:
    """The function whose definition is the last to begin before `line`; None when something else does."""
    for text in reversed(source.splitlines()[: line - 1]):
        if _DEFINITION.match(text):
            name = _NAME.search(text)
            return name[1] if name else None
    return None


def describe_rejected(hunk: DiffHunk, source: str | None) -> str:
    """One line for a person: file, hunk, and its place in today's source."""
    head = f"{hunk.file}: hunk {hunk.number} (line {hunk.line} there)"
    if source is None:
        return f"{head}: the driver has no such file"
    place = find_place(hunk, source)
    if place is None:
        return f"{head}: none of its lines is in this source"
    text = f"{head} belongs near line {place.line} here, {place.matching} of {place.wanted} lines found"
    if place.missing is None:
        return f"{text}, with others between them"
    return f"{text}; missing: {place.missing[:70]}"
