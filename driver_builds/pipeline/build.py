# SPDX-License-Identifier: Apache-2.0
"""Stage build: netmap.ko once, then each patched driver alone against netmap's symbols."""

from pathlib import Path

from driver_builds.errors import StageError
from driver_builds.manifest import DEBUG_SUFFIX
from driver_builds.pipeline.baseline import find_module_folder
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.kbuild import make_modules, pick_lines
from driver_builds.plan import NETMAP, Stage, Step


def apply_build(build: BuildContext, step: Step) -> None:
    """Leaves the module's stripped file in `build.files`."""
    name = step.subject
    if name == NETMAP:
        folder = build.get_folder(NETMAP)
        corrected = build.get_corrected(NETMAP) / "LINUX"
        sources = [f"SRCDIR={corrected}"] if corrected.is_dir() else []
        make_modules(
            build,
            Stage.BUILD,
            NETMAP,
            folder,
            "netmap does not compile for this kernel",
            "CONFIG_NETMAP=m",
            *sources,
        )
    else:
        folder = find_module_folder(build, build.get_driver(name))
        vendor = build.inputs.get_vendor(name)
        symbols = build.get_folder(NETMAP) / "Module.symvers"
        make_modules(
            build,
            Stage.BUILD,
            name,
            folder,
            "the patched driver does not compile; the unpatched one did",
            f"KBUILD_EXTRA_SYMBOLS={symbols}",
            *(vendor.release.make if vendor else ()),
        )
    build.files[name] = _strip(build, name, folder / f"{name}.ko")


def _keep_debug_symbols(build: BuildContext, name: str, file: Path) -> None:
    """Leaves NAME.ko.debug beside the module: debuggers find it by the build ID both carry."""
    log = build.get_log(name)
    target = file.with_name(f"{file.name}{DEBUG_SUFFIX}")
    done = build.builder.run(["objcopy", "--only-keep-debug", str(file), str(target)], log=log)
    if done.status != 0:
        reason = "objcopy cannot take the debug information out"
        raise StageError(Stage.BUILD, name, reason, pick_lines(done.output), log)


def _strip(build: BuildContext, name: str, file: Path) -> Path:
    log = build.get_log(name)
    if not file.is_file():
        raise StageError(Stage.BUILD, name, f"make ended well but left no {file.name}", (), log)
    if build.inputs.debug_symbols:
        _keep_debug_symbols(build, name, file)
    done = build.builder.run(["strip", "--strip-debug", str(file)], log=log)
    if done.status != 0:
        raise StageError(Stage.BUILD, name, "strip cannot handle the module", pick_lines(done.output), log)
    return file
