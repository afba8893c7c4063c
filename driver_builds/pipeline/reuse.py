# SPDX-License-Identifier: Apache-2.0
"""Stage reuse: a module built from the very same inputs before, if its bytes are still the same."""

from pathlib import Path

from pydantic import ValidationError

from driver_builds.errors import RefusedAsUnsafe
from driver_builds.manifest import DEBUG_SUFFIX, Module
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.inspect import RECORD
from driver_builds.plan import NETMAP, Step
from driver_builds.tree_hash import hash_file


def apply_reuse(build: BuildContext, step: Step) -> None:
    """Leaves the cached module in `build.modules` and `build.files`.

    Raises RefusedAsUnsafe when it is not what was put there.
    """
    folder = build.get_cached(step.subject)
    module = _load_record(folder)
    file = folder / module.file
    if not file.is_file() or hash_file(file) != module.sha256:
        raise RefusedAsUnsafe(
            f"{file}: is not the file that was built; delete {folder} to have it built again"
        )
    debug = file.with_name(f"{file.name}{DEBUG_SUFFIX}")
    if module.debug_sha256 and (not debug.is_file() or hash_file(debug) != module.debug_sha256):
        raise RefusedAsUnsafe(
            f"{debug}: is not the file that was built; delete {folder} to have it built again"
        )
    build.modules[module.name] = module
    build.files[module.name] = file
    if module.name == NETMAP:
        build.netmap_folder = folder


def _load_record(folder: Path) -> Module:
    try:
        return Module.model_validate_json((folder / RECORD).read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise RefusedAsUnsafe(
            f"{folder / RECORD}: damaged; delete {folder} to have it built again"
        ) from error
