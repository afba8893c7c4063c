# SPDX-License-Identifier: Apache-2.0
"""What is other with a driver of its vendor's release: where its files come from, and how they are made ready."""

import shutil
from pathlib import Path

from driver_builds import process
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.kbuild import make_modules, pick_lines
from driver_builds.plan import Stage, Step
from driver_builds.vendors import VendorTree

# Below the driver's folder in `work`: the release's files.
_FILES = "release"


def apply_vendor_unpack(build: BuildContext, step: Step) -> None:
    """Copies the release's checked files; netmap's probes, the baseline and the patch work on the copy."""
    tree = get_tree(build, step.subject)
    target = get_release_folder(build, step.subject)
    build.get_trace_folder(step.subject).mkdir(parents=True)
    shutil.copytree(tree.path, target, symlinks=True)
    if not (target / tree.release.folder).is_dir():
        reason = f"{tree.release.describe()} has no folder {tree.release.folder}"
        raise StageError(Stage.UNPACK, step.subject, reason)
    _prepare(build, tree)


def apply_vendor_baseline(build: BuildContext, step: Step) -> None:
    """Compiles the release as its maker published it."""
    make_modules(
        build,
        Stage.BASELINE,
        step.subject,
        get_module_folder(build, step.subject),
        f"the unpatched release {get_tree(build, step.subject).release.version} does not compile for this kernel",
        *get_tree(build, step.subject).release.make,
    )


def _prepare(build: BuildContext, tree: VendorTree) -> None:
    """Runs what the release itself needs to be run before make, with the kernel's own tools."""
    name = tree.release.driver
    folder = get_module_folder(build, name)
    for command in tree.release.prepare:
        arguments = [word.replace("{kernel}", str(build.ready_kernel.build)) for word in command]
        done = build.builder.run(
            arguments, cwd=folder, environment=process.build_environment(), log=build.get_log(name)
        )
        if done.status != 0:
            reason = f"{command[0]} of the release ended with status {done.status}"
            raise StageError(Stage.UNPACK, name, reason, pick_lines(done.output), build.get_log(name))


def get_tree(build: BuildContext, name: str) -> VendorTree:
    tree = build.inputs.get_vendor(name)
    assert tree is not None, "a driver of this method has a release"
    return tree


def get_release_folder(build: BuildContext, name: str) -> Path:
    return build.get_folder(name) / _FILES


def get_module_folder(build: BuildContext, name: str) -> Path:
    """The folder the kernel's build system is pointed at."""
    return get_release_folder(build, name) / get_tree(build, name).release.folder


def get_patch_root(build: BuildContext, name: str) -> Path:
    """The folder netmap's patch is applied in."""
    return get_release_folder(build, name) / get_tree(build, name).release.patch_folder
