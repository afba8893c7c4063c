# SPDX-License-Identifier: Apache-2.0
"""From what was asked for to a plan, and from the plan to finished artifacts."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from driver_builds import disk, store
from driver_builds.adapt.catalogue import load_rules
from driver_builds.builders import Builder
from driver_builds.builders.choose import choose_builder
from driver_builds.catalogue import (
    Correction,
    Driver,
    load_corrections,
    load_drivers,
    load_netmap_pin,
    select_drivers,
)
from driver_builds.compat import load_compat
from driver_builds.distributions import KernelPackages, apt, known
from driver_builds.errors import UsageError
from driver_builds.manifest import Manifest, load_manifest
from driver_builds.netmap_source import NetmapTree, load_netmap_tree
from driver_builds.pipeline.chains import Report
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.probe import read_probed
from driver_builds.pipeline.run import apply_plan, work_folders
from driver_builds.plan import NETMAP, BuildInputs, BuildPlan, Observed, Stage, build_key, plan_build
from driver_builds.release import parse_release
from driver_builds.tree_hash import hash_file
from driver_builds.vendor_source import load_vendor_tree
from driver_builds.vendors import VendorChoice, VendorTree, apply_choice, select_release
from driver_builds.verify import find_artifact_problems

Waiting = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the command line asks for; `artifacts` and `cache` are folders that need not exist.

    No `drivers`: all that the kernel contains.
    """

    release: str
    drivers: tuple[str, ...]
    netmap_source: str | None
    artifacts: Path
    cache: Path
    jobs: int = 1
    accept_netmap_tree: bool = False
    rebuild: bool = False
    keep_bytes: int | None = None
    debug_symbols: bool = False
    # Of netmap.ko; None: those of data/netmap.toml.
    subsystems: tuple[str, ...] | None = None
    vendors: VendorChoice = field(default_factory=VendorChoice)


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """What came out: `folder` holds the artifacts `manifest` describes; `removed` made room in the cache."""

    changed: bool
    folder: Path
    manifest: Manifest
    removed: tuple[disk.Entry, ...] = ()


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
    """Reads what is there and plans; cache and artifacts directory are held until the block is left."""
    cache = _check_path(request.cache)
    with disk.used(cache, waiting):
        inputs, tree, builder = _read_inputs(request, cache)
        folder = request.artifacts.absolute() / inputs.packages.release.text
        with store.locked(folder, waiting=waiting):
            store.restore_directory(folder)
            observed = Observed() if request.rebuild else _observe(inputs, tree, folder, cache)
            yield Prepared(request, inputs, tree, folder, plan_build(inputs, observed), builder)


def _read_inputs(request: BuildRequest, cache: Path) -> tuple[BuildInputs, NetmapTree, Builder]:
    select_drivers(request.drivers or list(load_drivers()))
    _check_methods(request)
    release = parse_release(request.release)
    pin = load_netmap_pin()
    tree = load_netmap_tree(request.netmap_source, cache, pin, accept=request.accept_netmap_tree)
    packages = known.read_kernel_packages(release, cache)
    vendors = load_vendor_trees(request.vendors, tree.read_patch_names(), cache)
    builder = choose_builder(packages, cache, [tree.path])
    inputs = BuildInputs(
        packages=packages,
        compiler=builder.read_compiler(),
        netmap_sha256=tree.sha256,
        subsystems=request.subsystems or tuple(pin.subsystems),
        patch_names=tree.read_patch_names(),
        probed=tuple(load_drivers().values()),
        drivers=apply_choice(_select_drivers(request, packages), request.vendors, vendors),
        corrections=_find_corrections(tree),
        rules=tuple(load_rules().values()),
        compat=load_compat(),
        builder=builder.name,
        tools=builder.describe(),
        debug_symbols=request.debug_symbols,
        vendors=vendors,
    )
    return inputs, tree, builder


def _select_drivers(request: BuildRequest, packages: KernelPackages) -> tuple[Driver, ...]:
    # A vendor's release is built even where the kernel has no such driver.
    there = [name for name in load_drivers() if name not in packages.absent]
    return select_drivers(request.drivers or [*there, *request.vendors.drivers])


def _check_methods(request: BuildRequest) -> None:
    for name in request.vendors.methods:
        if request.drivers and name not in request.drivers:
            raise UsageError(f"--method {name}=…: this driver is not built; add --driver {name}")


def load_vendor_trees(
    choice: VendorChoice, patch_names: Sequence[str], cache: Path
) -> tuple[VendorTree, ...]:
    """The checked files of every release that was chosen."""
    releases = [select_release(name, choice, patch_names) for name in choice.drivers]
    return tuple(
        load_vendor_tree(choice.sources.get(release.driver), release, cache, accept=choice.accept)
        for release in releases
    )


def build(request: BuildRequest, report: Report, waiting: Waiting) -> BuildOutcome:
    """Builds what `request` asks for; drivers that failed are in the outcome's `manifest.refused`.

    The cache is brought back under its bound afterwards, unless another build works in it.
    """
    cache = _check_path(request.cache)
    with prepared(request, waiting) as ready:
        changed = _build(ready, cache, report, waiting)
        outcome = BuildOutcome(changed, ready.folder, load_manifest(ready.folder))
    grown = any(step.stage is Stage.BUILD for step in ready.plan.steps)
    if request.keep_bytes is None or not grown:
        return outcome
    return replace(outcome, removed=tuple(disk.trim(cache, request.keep_bytes)))


def _build(ready: Prepared, cache: Path, report: Report, waiting: Waiting) -> bool:
    """Whether the artifacts directory is another one now."""
    _check_cached_packages(ready.inputs.packages, cache)
    if not ready.plan.changes:
        return False
    with work_folders(cache, ready.plan.release, waiting) as (work, logs):
        jobs = ready.request.jobs
        context = BuildContext(ready.inputs, ready.tree, cache, ready.folder, work, logs, jobs, ready.builder)
        apply_plan(ready.plan, context, report)
    return context.changed


def _find_corrections(tree: NetmapTree) -> tuple[Correction, ...]:
    """The corrections for files as this very tree has them."""

    def is_for(correction: Correction) -> bool:
        file = tree.path / correction.file
        return file.is_file() and hash_file(file) == correction.file_sha256

    return tuple(filter(is_for, load_corrections()))


def _observe(inputs: BuildInputs, tree: NetmapTree, folder: Path, cache: Path) -> Observed:
    names = [NETMAP, *(driver.name for driver in inputs.drivers)]
    cached = frozenset(
        name for name in names if (cache / "modules" / f"{name}-{build_key(inputs, name)}").is_dir()
    )
    netmap = cache / "modules" / f"{NETMAP}-{build_key(inputs, NETMAP)}"
    probed = read_probed(netmap, inputs.drivers, tree.path)
    if not folder.is_dir():
        return Observed(cached, probed)
    problems = find_artifact_problems(folder)
    if problems:
        return Observed(cached, probed, artifacts_problem=problems[0])
    return Observed(cached, probed, artifacts_key=load_manifest(folder).inputs_sha256)


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
