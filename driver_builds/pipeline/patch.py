# SPDX-License-Identifier: Apache-2.0
"""Stage patch: netmap's patch goes into the driver's source, and every hunk's place is kept."""

from driver_builds import process
from driver_builds.errors import StageError
from driver_builds.patches import check_hunks, count_hunks, parse_patch_log
from driver_builds.pipeline.context import AppliedPatch, BuildContext
from driver_builds.pipeline.kbuild import pick_lines
from driver_builds.plan import Stage, Step
from driver_builds.tree_hash import hash_file


def apply_patch(build: BuildContext, step: Step) -> None:
    """Applies the planned patch with patch's default fuzz; leaves what it did in `build.patches`."""
    name = step.subject
    patch = build.tree.patches / step.detail
    log = build.get_log(name)
    done = process.run(
        [
            "patch",
            "--strip=1",
            "--verbose",
            "--batch",
            "--forward",
            "--no-backup-if-mismatch",
            f"--input={patch}",
        ],
        cwd=build.get_folder(name),
        log=log,
    )
    hunks = parse_patch_log(done.output)
    check_hunks(name, hunks, count_hunks(patch), log)
    if done.status != 0:
        raise StageError(
            Stage.PATCH, name, f"patch ended with status {done.status}", pick_lines(done.output), log
        )
    build.patches[name] = AppliedPatch(patch.name, hash_file(patch), tuple(hunks))
