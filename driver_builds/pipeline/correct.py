# SPDX-License-Identifier: Apache-2.0
"""Stage correct: known faults of netmap and its driver headers, put right in a copy that is compiled instead."""

import re
import shutil
from pathlib import Path

from driver_builds.catalogue import Correction
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import NETMAP, Stage, Step

# C: words and numbers, operators of two characters, everything else by itself; joined they are the line again.
_TOKEN = re.compile(r"\w+|[-+<>=!&|]{1,2}|\s+|.", re.DOTALL)


def apply_correct(build: BuildContext, step: Step) -> None:
    """Writes corrected copies into the subject's own folder; netmap's tree stays as it is.

    A driver gets the corrected headers, which the compiler looks for there first; netmap.ko gets all its
    sources, laid out as in the tree.
    """
    folder = build.get_corrected(step.subject)
    folder.mkdir(parents=True)
    if step.subject == NETMAP:
        for part in ("LINUX", "sys"):
            shutil.copytree(build.tree.path / part, folder / part, symlinks=True)
    for correction in build.inputs.find_corrections(step.subject):
        if correction.patch is not None:
            continue  # the patch was corrected before it was applied
        source = build.tree.path / correction.file
        target = folder / (correction.file if step.subject == NETMAP else source.name)
        text = (target if target.exists() else source).read_text("utf-8")
        target.write_text(correct_text(text, correction), "utf-8")


def correct_patch(build: BuildContext, subject: str, patch: Path) -> Path:
    """netmap's patch, or a copy of it with its faults put right."""
    wanted = [item for item in build.inputs.find_corrections(subject) if item.patch == patch.name]
    if not wanted:
        return patch
    text = patch.read_text("utf-8")
    for correction in wanted:
        text = correct_text(text, correction)
    target = build.get_folder(subject) / patch.name
    target.write_text(text, "utf-8")
    return target


def correct_text(text: str, correction: Correction) -> str:
    """`text` with the correction's tokens replaced in its line."""
    lines = text.splitlines(keepends=True)
    if not 1 <= correction.line <= len(lines):
        raise _build_error(correction, f"the file has {len(lines)} lines, no line {correction.line}")
    tokens = _TOKEN.findall(lines[correction.line - 1])
    for old in correction.tokens:
        if (count := tokens.count(old)) != 1:
            raise _build_error(
                correction, f"{old} stands {count} times in line {correction.line}, wanted once"
            )
    lines[correction.line - 1] = "".join(correction.tokens.get(token, token) for token in tokens)
    return "".join(lines)


def _build_error(correction: Correction, reason: str) -> StageError:
    return StageError(Stage.CORRECT, correction.driver, f"{correction.name}: {correction.file}: {reason}")
