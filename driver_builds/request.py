# SPDX-License-Identifier: Apache-2.0
"""From what was asked for to a plan, and from the plan to finished artifacts."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from driver_builds import store
from driver_builds.adapt.catalogue import load_rules
from driver_builds.builders import Builder
from driver_builds.builders.choose import choose_builder
from driver_builds.catalogue import (
    Correction,
    load_corrections,
    load_drivers,
    load_netmap_pin,
    select_drivers,
)
from driver_builds.distributions import KernelPackages, apt, known
from driver_builds.errors import UsageError
from driver_builds.manifest import Manifest, load_manifest
from driver_builds.netmap_source import NetmapTree, load_netmap_tree
from driver_builds.pipeline.chains import Report
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.run import apply_plan, work_folders
from driver_builds.plan import NETMAP, BuildInputs, BuildPlan, Observed, build_key, plan_build
from driver_builds.release import parse_release
from driver_builds.tree_hash import hash_file
from driver_builds.verify import find_artifact_problems

Waiting = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the command line asks for; `artifacts` and `cache` are folders that need not exist."""

    release: str
    drivers: tuple[str, ...]
    netmap_source: str | None
    artifacts: Path
    cache: Path
    jobs: int = 1
    accept_netmap_tree: bool = False
    rebuild: bool = False


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """What came out: `folder` holds the artifacts `manifest` describes."""

    changed: bool
    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with everything read that the plan depends on."""

    request: BuildRequest
    inputs: BuildInputs
    tree: NetmapTree
    folder: Path
    plan: BuildPlan
    builder: Builder


@contextmanager
def prepared(request: BuildRequest, waiting: Waiting) -> Iterator[Prepared]:
    """Reads what is there and plans; the artifacts directory is locked until the block is left."""
    drivers = select_drivers(request.drivers)
    release = parse_release(request.release)
    cache = _check_path(request.cache)
    pin = load_netmap_pin()
    tree = load_netmap_tree(request.netmap_source, cache, pin, accept=request.accept_netmap_tree)
    packages = known.read_kernel_packages(release, cache)
    builder = choose_builder(packages, cache, [tree.path])
    inputs = BuildInputs(
        packages=packages,
        compiler=builder.read_compiler(),
        netmap_sha256=tree.sha256,
        subsystems=tuple(pin.subsystems),
        patch_names=tree.read_patch_names(),
        probed=tuple(load_drivers().values()),
        drivers=drivers,
        corrections=_find_corrections(tree),
        rules=tuple(load_rules().values()),
        builder=builder.name,
        tools=builder.describe(),
    )
    folder = request.artifacts.absolute() / release.text
    with store.locked(folder, waiting=waiting):
        store.restore_directory(folder)
        observed = Observed() if request.rebuild else _observe(inputs, folder, cache)
        yield Prepared(request, inputs, tree, folder, plan_build(inputs, observed), builder)


def build(request: BuildRequest, report: Report, waiting: Waiting) -> BuildOutcome:
    """Builds what `request` asks for; drivers that failed are in the outcome's `manifest.refused`."""
    with prepared(request, waiting) as ready:
        cache = _check_path(request.cache)
        _check_cached_packages(ready.inputs.packages, cache)
        if not ready.plan.changes:
            return BuildOutcome(False, ready.folder, load_manifest(ready.folder))
        with work_folders(cache, ready.plan.release, waiting) as (work, logs):
            context = BuildContext(
                ready.inputs, ready.tree, cache, ready.folder, work, logs, request.jobs, ready.builder
            )
            apply_plan(ready.plan, context, report)
        return BuildOutcome(context.changed, ready.folder, load_manifest(ready.folder))


def _find_corrections(tree: NetmapTree) -> tuple[Correction, ...]:
    """The corrections for files as this very tree has them."""

    def is_for(correction: Correction) -> bool:
        file = tree.path / correction.file
        return file.is_file() and hash_file(file) == correction.file_sha256

    return tuple(filter(is_for, load_corrections()))


def _observe(inputs: BuildInputs, folder: Path, cache: Path) -> Observed:
    names = [NETMAP, *(driver.name for driver in inputs.drivers)]
    cached = frozenset(
        name for name in names if (cache / "modules" / f"{name}-{build_key(inputs, name)}").is_dir()
    )
    if not folder.is_dir():
        return Observed(cached)
    problems = find_artifact_problems(folder)
    if problems:
        return Observed(cached, artifacts_problem=problems[0])
    return Observed(cached, artifacts_key=load_manifest(folder).inputs_sha256)


def _check_cached_packages(packages: KernelPackages, cache: Path) -> None:
    for package in packages.all:
        path = cache / "packages" / package.file_name
        if path.exists():
            apt.check_package(package, path)


def _check_path(cache: Path) -> Path:
    path = cache.absolute()
    # Kbuild and netmap's configure take folder names apart at these characters; no quoting helps.
    if not re.fullmatch(r"[A-Za-z0-9_./+@-]+", str(path)):
        raise UsageError(
            f"cache {path}: the kernel's build system cannot handle this folder name; give --cache a "
            "path of letters, digits and _ . / + @ - only"
        )
    return path
