# SPDX-License-Identifier: Apache-2.0
"""What was found for each kernel, kept beside the test results: the last build's manifest, or why there is none."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from driver_builds import store
from driver_builds.errors import ArtifactError, StageError
from driver_builds.lab.results import Result, load_result
from driver_builds.manifest import FILE_NAME, Manifest, load_manifest, render_manifest
from driver_builds.plan import NETMAP

_FAILURE = "failure.json"


class Failure(BaseModel):
    """Why a whole kernel could not be built for, or not be tested."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    reason: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class KernelRecord:
    """All that is known of one kernel; `results` by module name, for the very bytes of `manifest`."""

    release: str
    distribution: str = ""
    version: str = ""
    manifest: Manifest | None = None
    failure: Failure | None = None
    results: Mapping[str, Result] = field(default_factory=dict)


def find_releases(cache: Path) -> list[str]:
    """The kernels something was recorded for."""
    folder = cache / "results"
    if not folder.is_dir():
        return []
    return sorted(
        path.name for path in folder.iterdir() if (path / FILE_NAME).is_file() or (path / _FAILURE).is_file()
    )


def load_record(release: str, cache: Path, distribution: str = "", version: str = "") -> KernelRecord:
    """What is recorded for a kernel; a damaged record is none."""
    folder = cache / "results" / release
    manifest, failure = None, None
    try:
        manifest = load_manifest(folder)
    except ArtifactError:
        manifest = None
    try:
        failure = Failure.model_validate_json((folder / _FAILURE).read_text("utf-8"))
    except (OSError, ValidationError):
        failure = None
    results = {} if manifest is None else _load_results(manifest, cache)
    return KernelRecord(release, distribution, version, manifest, failure, results)


def _load_results(manifest: Manifest, cache: Path) -> dict[str, Result]:
    hashes = {module.name: module.sha256 for module in manifest.modules}
    found = {}
    for name, sha256 in hashes.items():
        result = load_result(cache, manifest.kernel.release, name, sha256, hashes[NETMAP])
        if result is not None:
            found[name] = result
    return found


def write_manifest(cache: Path, manifest: Manifest) -> None:
    """Records what a build made; what went wrong before is forgotten, drivers not asked for this time are not."""
    folder = cache / "results" / manifest.kernel.release
    with contextlib.suppress(ArtifactError):
        manifest = merge_manifests(load_manifest(folder), manifest)
    store.write_file(folder / FILE_NAME, render_manifest(manifest))
    (folder / _FAILURE).unlink(missing_ok=True)


def merge_manifests(old: Manifest, new: Manifest) -> Manifest:
    """`new`, with the drivers only `old` has, if they were built for the same kernel package and netmap.ko."""
    shared = [module for module in old.modules if module.name == NETMAP] == [
        module for module in new.modules if module.name == NETMAP
    ]
    if not shared or (old.kernel, old.netmap) != (new.kernel, new.netmap):
        return new
    named = {module.name for module in new.modules} | {refused.name for refused in new.refused}
    return new.model_copy(
        update={
            "modules": [*new.modules, *(module for module in old.modules if module.name not in named)],
            "refused": [*new.refused, *(refused for refused in old.refused if refused.name not in named)],
        }
    )


def write_failure(cache: Path, release: str, error: Exception, *, built: bool) -> None:
    """Records that a kernel could not be built for, or (`built`) that what was built could not be tested."""
    folder = cache / "results" / release
    if isinstance(error, StageError):
        failure = Failure(stage=str(error.stage), reason=error.reason, lines=list(error.lines))
    else:
        failure = Failure(stage="test" if built else "build", reason=str(error).splitlines()[0], lines=[])
    failure = failure.model_copy(update={"reason": scrub(failure.reason, cache)})
    store.write_file(folder / _FAILURE, failure.model_dump_json(indent=2) + "\n")
    if not built:
        (folder / FILE_NAME).unlink(missing_ok=True)


def scrub(text: str, cache: Path) -> str:
    """`text` without this host's mirror and folders: the matrix goes into documentation."""
    return re.sub(r"https?://[^/\s]+/", "MIRROR/", text).replace(str(cache), "CACHE")
