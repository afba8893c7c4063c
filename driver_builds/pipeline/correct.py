# SPDX-License-Identifier: Apache-2.0
"""Stage correct: our own lines for known faults of netmap's driver headers, in a copy the driver is given first."""

from driver_builds.catalogue import Correction
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import Stage, Step


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
    """`text` with the correction's line in place of the one that stands there."""
    lines = text.splitlines(keepends=True)
    if not 1 <= correction.line <= len(lines):
        reason = f"{correction.name}: {correction.file} has {len(lines)} lines, no line {correction.line}"
        raise StageError(Stage.CORRECT, correction.driver, reason)
    lines[correction.line - 1] = correction.text + "\n"
    return "".join(lines)
