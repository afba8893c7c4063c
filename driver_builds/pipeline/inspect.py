# SPDX-License-Identifier: Apache-2.0
"""Stage inspect: the built file is what was planned, read from the file itself; then it goes to the cache."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from driver_builds import store
from driver_builds.compat import parse_names
from driver_builds.errors import ModuleFileError, StageError
from driver_builds.manifest import DEBUG_SUFFIX, Hunk, InsertedHook, Module, Patch, VendorSource
from driver_builds.modinfo import ModuleInfo, load_module_info, parse_symbol_versions
from driver_builds.pipeline.context import AppliedPatch, BuildContext
from driver_builds.pipeline.probe import CONFIG_HEADER, PROBED
from driver_builds.plan import NETMAP, Stage, Step
from driver_builds.tree_hash import hash_file

RECORD = "module.json"


def apply_inspect(build: BuildContext, step: Step) -> None:
    """Checks the module in `build.files`, leaves its record in `build.modules`, and both in the cache."""
    name = step.subject
    file = build.files[name]
    try:
        info = load_module_info(file)
    except ModuleFileError as error:
        raise StageError(Stage.INSPECT, name, str(error), (), build.get_log(name)) from error
    known = parse_symbol_versions(build.ready_kernel.symbol_versions.read_text("utf-8"))
    if name != NETMAP:
        known |= parse_symbol_versions((build.get_folder(NETMAP) / "Module.symvers").read_text("utf-8"))
    problems = find_problems(info, name, build.inputs.packages.release.text, known)
    if problems:
        raise StageError(
            Stage.INSPECT, name, "the module is not what was planned", problems, build.get_log(name)
        )
    compat = parse_names((build.get_folder(NETMAP) / CONFIG_HEADER).read_text("utf-8"))
    corrections = (*build.inputs.get_corrections(name), *(f"compat-{change}" for change in compat))
    record = _build_record(name, file, info, build.patches.get(name), corrections)
    build.modules[name] = record.model_copy(update={"vendor": _build_vendor(build, name)})
    _keep(build, name, file)


def find_problems(info: ModuleInfo, name: str, release: str, known: Mapping[str, int]) -> list[str]:
    """What is wrong with the module, in words; [] when nothing is. `known` maps symbols to their CRCs."""
    problems = []
    if info.name != name:
        problems.append(f"its name is {info.name}, wanted {name}")
    if info.release != release:
        problems.append(f"its vermagic is {info.vermagic!r}, wanted kernel {release}")
    if name != NETMAP and NETMAP not in info.depends:
        problems.append(
            f"it depends on {', '.join(info.depends) or 'nothing'}, not on netmap: it is unpatched"
        )
    wrong = sorted(symbol for symbol, crc in info.versions.items() if known.get(symbol) != crc)
    if wrong:
        problems.append(f"{len(wrong)} symbols of another version than the kernel's: {', '.join(wrong[:5])}")
    # A kernel without CONFIG_MODVERSIONS (Debian's since 7.x) gives every symbol the CRC 0; its vermagic decides alone.
    if not info.versions and any(known.values()):
        problems.append("it has no symbol versions; the kernel would refuse it")
    return problems


def _build_record(
    name: str, file: Path, info: ModuleInfo, patch: AppliedPatch | None, corrections: tuple[str, ...]
) -> Module:
    debug = file.with_name(f"{file.name}{DEBUG_SUFFIX}")
    return Module(
        name=name,
        file=file.name,
        sha256=hash_file(file),
        vermagic=info.vermagic,
        srcversion=info.srcversion,
        depends=list(info.depends),
        imports=len(info.versions),
        patch=None if patch is None else _build_patch(patch),
        corrections=list(corrections),
        baseline=None if patch is None else "built",
        debug_sha256=hash_file(debug) if debug.is_file() else None,
    )


def _build_vendor(build: BuildContext, name: str) -> VendorSource | None:
    tree = build.inputs.get_vendor(name)
    if tree is None:
        return None
    return VendorSource(
        vendor=tree.release.vendor,
        version=tree.release.version,
        url=tree.release.url,
        tree_sha256=tree.tree_sha256,
        archive_sha256=tree.archive_sha256,
        pinned=tree.pinned,
    )


def _build_patch(patch: AppliedPatch) -> Patch:
    hunks = [
        Hunk(file=hunk.file, hunk=hunk.hunk, line=hunk.line, offset=hunk.offset, fuzz=hunk.fuzz)
        for hunk in patch.hunks
    ]
    hooks = [InsertedHook(name=hook.name, file=hook.file, line=hook.line) for hook in patch.hooks]
    return Patch(
        name=patch.name,
        sha256=patch.sha256,
        stage=patch.stage,
        hunks=hunks,
        hooks=hooks,
        instead_of=patch.instead_of,
    )


def _keep(build: BuildContext, name: str, file: Path) -> None:
    """Puts the module into the cache; a build that reads there at the same time sees the old or the new one."""
    target = build.get_cached(name)
    with store.locked(target), store.scratch_beside(target) as folder:
        shutil.copy2(file, folder)
        if build.modules[name].debug_sha256:
            shutil.copy2(f"{file}{DEBUG_SUFFIX}", folder)
        if name == NETMAP:
            for needed in ("Module.symvers", CONFIG_HEADER, PROBED):
                shutil.copy2(build.get_folder(NETMAP) / needed, folder)
        (folder / RECORD).write_text(build.modules[name].model_dump_json(indent=2), "utf-8")
        store.replace_directory(folder, target)
