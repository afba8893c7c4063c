# SPDX-License-Identifier: Apache-2.0
"""Stage patch: netmap's patch goes into the driver's source, else our rule does, else the driver is refused."""

from pathlib import Path

from driver_builds import process
from driver_builds.adapt.c_source import StructureError
from driver_builds.adapt.insert import insert_hooks
from driver_builds.attempts import Attempt
from driver_builds.errors import StageError
from driver_builds.hunks import DiffHunk, describe_rejected, find_function_before, parse_hunks
from driver_builds.patches import (
    HunkResult,
    check_hunks,
    count_hunks,
    find_family,
    parse_patch_log,
)
from driver_builds.pipeline import vendor
from driver_builds.pipeline.context import AppliedPatch, BuildContext
from driver_builds.pipeline.correct import correct_patch
from driver_builds.pipeline.kbuild import pick_lines
from driver_builds.plan import Stage, Step
from driver_builds.tree_hash import hash_file

_LINES = 10


def apply_patch(build: BuildContext, step: Step) -> None:
    """Patches the driver in the first way that fits; leaves what was done in `build.patches`.

    Raises StageError, with what each way said, when none fits.
    """
    name = step.subject
    attempts = build.inputs.get_attempts(build.get_driver(name))
    failed: list[StageError] = []
    for attempt in attempts:
        try:
            reason = f"{failed[0].reason}" if failed else None
            build.patches[name] = _apply_attempt(build, name, attempt, reason)
        except StageError as error:
            failed.append(error)
            _append_log(build, name, f"{attempt.stage} {attempt.name}: {error.reason}", error.lines)
        else:
            return
    raise _build_refusal(build, name, failed)


def _apply_attempt(build: BuildContext, name: str, attempt: Attempt, reason: str | None) -> AppliedPatch:
    if attempt.stage == "upstream":
        return _apply_upstream(build, name, build.tree.patches / attempt.name)
    return _apply_rule(build, name, reason or build.get_driver(name).adapted_first)


def _apply_upstream(build: BuildContext, name: str, original: Path) -> AppliedPatch:
    """Applies netmap's patch with patch's default fuzz, as upstream does it, or leaves the sources alone."""
    patch = correct_patch(build, name, original)
    log = build.get_log(name)
    root = get_patch_root(build, name)
    wanted = count_hunks(patch)
    done = run_patch(root, patch, "--dry-run", log=log)
    hunks = parse_patch_log(done.output)
    _check_fit(patch, root, name, hunks, wanted, log)
    expected = parse_hunks(patch.read_text("utf-8", "replace"))
    before = {hunk.file: (root / hunk.file).read_bytes() for hunk in expected}
    done = run_patch(root, patch, log=log)
    hunks = parse_patch_log(done.output)
    check_hunks(name, hunks, wanted, log)
    if done.status != 0:
        raise StageError(
            Stage.PATCH, name, f"patch ended with status {done.status}", pick_lines(done.output), log
        )
    if astray := _find_astray(root, expected, hunks):
        for file, content in before.items():
            (root / file).write_bytes(content)
        reason = f"{patch.name}: {len(astray)} of {wanted} hunks went into another function"
        raise StageError(Stage.PATCH, name, reason, astray[:_LINES], log)
    return AppliedPatch("upstream", original.name, hash_file(original), tuple(hunks))


def _find_astray(root: Path, expected: list[DiffHunk], hunks: list[HunkResult]) -> list[str]:
    """The hunks that fuzz let into another function than their head names; those outside of functions aside."""
    places = {(hunk.file, hunk.hunk): hunk.line for hunk in hunks}
    lines = []
    for hunk in expected:
        line = places[hunk.file, hunk.number]
        found = find_function_before((root / hunk.file).read_text("utf-8", "replace"), line)
        if hunk.function and found and found != hunk.function:
            text = f"hunk {hunk.number} is for {hunk.function}, line {line} here is in {found}"
            lines.append(f"{hunk.file}: {text}")
    return lines


def run_patch(root: Path, patch: Path, *more: str, log: Path | None = None) -> process.Finished:
    """`patch` in batch mode, with its default fuzz, on the sources below `root`."""
    options = ["--strip=1", "--verbose", "--batch", "--forward", "--no-backup-if-mismatch", *more]
    return process.run(["patch", *options, f"--input={patch}"], cwd=root, log=log)


def get_patch_root(build: BuildContext, name: str) -> Path:
    if build.inputs.get_vendor(name):
        return vendor.get_patch_root(build, name)
    return build.get_folder(name) / build.get_driver(name).patch_root


def _check_fit(patch: Path, root: Path, name: str, hunks: list[HunkResult], wanted: int, log: Path) -> None:
    """Raises StageError that says of every rejected hunk where it would belong in this source."""
    rejected = {(hunk.file, hunk.hunk) for hunk in hunks if not hunk.applied}
    if not rejected:
        check_hunks(name, hunks, wanted, log)
        return
    lines = []
    for hunk in parse_hunks(patch.read_text("utf-8", "replace")):
        if (hunk.file, hunk.number) in rejected:
            source = root / hunk.file
            text = source.read_text("utf-8", "replace") if source.is_file() else None
            lines.append(describe_rejected(hunk, text))
    reason = f"{patch.name}: {len(rejected)} of {wanted} hunks do not fit this kernel's source"
    raise StageError(Stage.PATCH, name, reason, lines[:_LINES], log)


def _apply_rule(build: BuildContext, name: str, reason: str | None) -> AppliedPatch:
    rule = next(rule for rule in build.inputs.rules if rule.driver == name)
    root = get_patch_root(build, name)
    files = {hook.file for hook in rule.hooks if (root / hook.file).is_file()}
    try:
        texts, hooks = insert_hooks(rule, {file: (root / file).read_text("utf-8") for file in sorted(files)})
    except StructureError as error:
        lines = str(error).splitlines()
        reason = f"rule {rule.name}: {len(lines)} of {len(rule.hooks)} hooks have no place in this source"
        raise StageError(Stage.PATCH, name, reason, lines[:_LINES], build.get_log(name)) from error
    for file, text in texts.items():
        (root / file).write_text(text, "utf-8")
    if rule.header is not None:
        (root / Path(rule.hooks[0].file).parent / rule.header).write_text(rule.header_text, "utf-8")
    _append_log(
        build, name, f"adapted by {rule.name}", [f"{hook.file}:{hook.line}: {hook.name}" for hook in hooks]
    )
    return AppliedPatch("adapted", rule.name, rule.sha256, (), tuple(hooks), reason)


def _build_refusal(build: BuildContext, name: str, failed: list[StageError]) -> StageError:
    """One error of all attempts, and which other patch of netmap's would fit."""
    lines = [line for error in failed for line in error.lines]
    if build.inputs.get_vendor(name):
        return StageError(Stage.PATCH, name, failed[0].reason, lines[:_LINES], build.get_log(name))
    root = get_patch_root(build, name)
    family = build.get_driver(name).family
    fitting = []
    for other in find_family(build.inputs.patch_names, family):
        patch = build.tree.patches / other
        hunks = parse_patch_log(run_patch(root, patch, "--dry-run").output)
        if len(hunks) == count_hunks(patch) and all(hunk.applied for hunk in hunks):
            fitting.append(other)
    serve = (
        f"{', '.join(fitting)} would apply here" if fitting else "no other patch of netmap's applies either"
    )
    reason = "; ".join([*(error.reason for error in failed), serve])
    return StageError(Stage.PATCH, name, reason, lines[:_LINES], build.get_log(name))


def _append_log(build: BuildContext, name: str, head: str, lines: list[str] | tuple[str, ...]) -> None:
    with build.get_log(name).open("a", encoding="utf-8") as stream:
        stream.write("\n".join([head, *(f"    {line}" for line in lines)]) + "\n")
