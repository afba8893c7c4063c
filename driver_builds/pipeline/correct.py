# SPDX-License-Identifier: Apache-2.0
"""Stage correct: known faults of netmap's driver headers, put right in a copy the driver is given first."""

import re

from driver_builds.catalogue import Correction
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import Stage, Step

# C: words and numbers, operators of two characters, everything else by itself; joined they are the line again.
_TOKEN = re.compile(r"\w+|[-+<>=!&|]{1,2}|\s+|.", re.DOTALL)


def apply_correct(build: BuildContext, step: Step) -> None:
    """Writes corrected copies of headers into the driver's own include folder; netmap's tree stays as it is."""
    folder = build.get_corrected(step.subject)
    folder.mkdir(parents=True)
    for correction in build.inputs.corrections:
        if correction.driver != step.subject:
            continue
        source = build.tree.path / correction.file
        target = folder / source.name
        text = (target if target.exists() else source).read_text("utf-8")
        target.write_text(correct_text(text, correction), "utf-8")


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
