# SPDX-License-Identifier: Apache-2.0
"""netmap's driver patches: choosing the one that fits a kernel version, and reading what `patch` said."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds.errors import StageError

_NAME = re.compile(r"vanilla--(?P<family>.+?)--(?P<low>[0-9a-f]{5,6})--(?P<high>[0-9a-f]{5,6})")
_FILE = re.compile(r"(?:patching|checking) file '?(?P<file>.+?)'?")
_HUNK = re.compile(
    r"Hunk #(?P<hunk>[0-9]+) (?P<result>succeeded|FAILED) at (?P<line>[0-9]+)"
    r"(?: with fuzz (?P<fuzz>[0-9]+))?(?: \(offset (?P<offset>-?[0-9]+) lines?\))?\.?"
)


@dataclass(frozen=True, slots=True)
class HunkResult:
    """Where one hunk went: `line` in the patched file, `offset` in lines from where the patch expected it."""

    file: str
    hunk: int
    line: int
    offset: int
    fuzz: int
    applied: bool


def build_version_code(version: tuple[int, int, int]) -> str:
    """A kernel version as patch names carry it: 6.1.192 -> "601c0", two hex digits for the last number."""
    major, minor, patch = version
    # The kernel's own LINUX_VERSION_CODE stops at 255 too.
    return f"{major * 256 + minor:03x}{min(patch, 255):02x}"


def select_patch(names: Iterable[str], family: str, version: tuple[int, int, int]) -> str:
    """The one patch `vanilla--FAMILY--LOW--HIGH` with LOW <= version < HIGH; raises StageError otherwise.

    There is no nearest one: a patch of another version range is never taken instead.
    """
    code = int(build_version_code(version), 16)
    ranges, fitting = [], []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None or match["family"] != family:
            continue
        ranges.append(f"{match['low']} to {match['high']}")
        if int(match["low"], 16) <= code < int(match["high"], 16):
            fitting.append(name)
    if len(fitting) == 1:
        return fitting[0]
    wanted = f"kernel {'.'.join(map(str, version))} ({code:05x})"
    if fitting:
        raise StageError("patch", family, f"{len(fitting)} patches fit {wanted}: {', '.join(fitting)}")
    raise StageError(
        "patch", family, f"netmap has no patch for {wanted}; it has {', '.join(ranges) or 'none'}"
    )


def find_family(names: Iterable[str], family: str) -> list[str]:
    """The patches of one family, whatever kernels they are for, in the order of their ranges."""
    found = [
        (match["low"].zfill(6), name)
        for name in names
        if (match := _NAME.fullmatch(name))
        if match["family"] == family
    ]
    return [name for _, name in sorted(found)]


def parse_patch_log(text: str) -> list[HunkResult]:
    """Every hunk of the output of `patch --verbose`, applied or failed, in its order."""
    hunks: list[HunkResult] = []
    file = ""
    for line in text.splitlines():
        if match := _FILE.fullmatch(line.strip()):
            file = match["file"]
        elif match := _HUNK.match(line.strip()):
            hunks.append(
                HunkResult(
                    file=file,
                    hunk=int(match["hunk"]),
                    line=int(match["line"]),
                    offset=int(match["offset"] or 0),
                    fuzz=int(match["fuzz"] or 0),
                    applied=match["result"] == "succeeded",
                )
            )
    return hunks


def count_hunks(patch: Path) -> int:
    """How many hunks a unified diff has; each must be in the log of applying it."""
    return len(re.findall(r"(?m)^@@ -[0-9]", patch.read_text("utf-8", "replace")))


def check_hunks(subject: str, hunks: Sequence[HunkResult], wanted: int, log: Path) -> None:
    """Raises StageError unless all `wanted` hunks are in `hunks` and were applied."""
    failed = [hunk for hunk in hunks if not hunk.applied]
    if failed:
        lines = [f"{hunk.file}: hunk {hunk.hunk} does not fit at line {hunk.line}" for hunk in failed[:10]]
        raise StageError(
            "patch", subject, f"{len(failed)} of {wanted} hunks do not fit this kernel's source", lines, log
        )
    if len(hunks) != wanted:
        raise StageError("patch", subject, f"{len(hunks)} of {wanted} hunks were applied", (), log)
