# SPDX-License-Identifier: Apache-2.0
"""Stage write: the artifacts directory appears whole, or stays as it was."""

import shutil
from pathlib import Path

from driver_builds import store
from driver_builds.errors import RefusedAsUnsafe
from driver_builds.manifest import (
    DEBUG_FOLDER,
    DEBUG_SUFFIX,
    FILE_NAME,
    Input,
    Kernel,
    Manifest,
    Netmap,
    Refused,
    render_manifest,
)
from driver_builds.modinfo import load_module_info, parse_symbol_versions
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import NETMAP, Step, build_key
from driver_builds.verify import find_artifact_problems


def apply_write(build: BuildContext, step: Step) -> None:
    """Puts modules, logs of refused drivers and manifest.json into `build.artifacts`; call with it locked.

    Leaves an equal directory alone: modules are reproducible, so building them anew need not change anything.
    Raises RefusedAsUnsafe when a driver from the cache was built for another netmap.ko than the one beside it.
    """
    _check_exports(build)
    with store.scratch_beside(build.artifacts) as folder:
        for name, file in build.files.items():
            shutil.copyfile(file, folder / file.name)
            if build.modules[name].debug_sha256:
                (folder / DEBUG_FOLDER).mkdir(exist_ok=True)
                debug = file.with_name(f"{file.name}{DEBUG_SUFFIX}")
                shutil.copyfile(debug, folder / DEBUG_FOLDER / debug.name)
        refused = [_keep_log(build, record, folder) for record in build.refused.values()]
        text = render_manifest(build_manifest(build, refused))
        (folder / FILE_NAME).write_text(text, "utf-8")
        if is_equal(build.artifacts, text):
            return
        build.changed = True
        store.replace_directory(folder, build.artifacts)


def _check_exports(build: BuildContext) -> None:
    """A correction of netmap.ko leaves drivers as they are only while what it exports stays the same."""
    exported = parse_symbol_versions((build.get_folder(NETMAP) / "Module.symvers").read_text("utf-8"))
    for name, file in build.files.items():
        imported = load_module_info(file).versions if name != NETMAP else {}
        other = sorted(name for name, crc in imported.items() if exported.get(name, crc) != crc)
        if other:
            reason = f"imports {', '.join(other)} in another version than this netmap.ko exports"
            raise RefusedAsUnsafe(f"{file}: {reason}; delete {file.parent} to have it built again")


def is_equal(artifacts: Path, manifest: str) -> bool:
    """Whether `artifacts` holds this very manifest and the files it names."""
    path = artifacts / FILE_NAME
    return path.is_file() and path.read_text("utf-8") == manifest and not find_artifact_problems(artifacts)


def _keep_log(build: BuildContext, record: Refused, folder: Path) -> Refused:
    log = build.get_log(record.name)
    if not log.is_file():
        return record
    (folder / "logs").mkdir(exist_ok=True)
    shutil.copyfile(log, folder / "logs" / log.name)
    return record.model_copy(update={"log": f"logs/{log.name}"})


def build_manifest(build: BuildContext, refused: list[Refused]) -> Manifest:
    """The manifest of what `build` has made so far; modules by name, netmap first."""
    inputs = build.inputs
    packages = inputs.packages
    modules = sorted(build.modules.values(), key=lambda module: (module.name != NETMAP, module.name))
    return Manifest(
        inputs_sha256=build_key(inputs, NETMAP, *(driver.name for driver in inputs.drivers)),
        kernel=Kernel(
            release=packages.release.text,
            distribution=packages.distribution,
            version=packages.headers.version,
            headers_package=packages.headers.name,
            source_package=packages.source.name,
            compiler=inputs.compiler,
        ),
        netmap=Netmap(
            url=build.tree.url,
            commit=build.tree.commit,
            sha256=build.tree.sha256,
            pinned=build.tree.pinned,
        ),
        inputs=[
            Input(name=package.name, version=package.version, sha256=package.sha256)
            for package in packages.all
        ]
        + [
            Input(
                name=f"vendor-{tree.release.driver}",
                version=tree.release.version,
                sha256=tree.archive_sha256 or tree.tree_sha256,
            )
            for tree in inputs.vendors
        ],
        modules=modules,
        refused=refused,
    )
