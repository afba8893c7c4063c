# SPDX-License-Identifier: Apache-2.0
"""What a build will do, as named steps: decided here from values only, carried out by `pipeline`."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from driver_builds.adapt.catalogue import Rule
from driver_builds.attempts import Attempt, plan_attempts, render_attempts
from driver_builds.catalogue import Correction, Driver
from driver_builds.compat import Compat, select_compat
from driver_builds.distributions import KernelPackages
from driver_builds.errors import StageError
from driver_builds.vendors import VendorTree

# Raise it when the way modules are made changes: it is part of every key, so all of them are built anew.
RECIPE = 2

NETMAP = "netmap"

# What a driver's entry says to people, or to the order of attempts, decides nothing of how it is made.
_NOT_IN_KEYS = {"kinds", "adapted_first", "method", "why", "needs"}


class Stage(StrEnum):
    """The stages of a build, in their order."""

    KEEP = "keep"
    TOOLS = "tools"
    FETCH = "fetch"
    UNPACK = "unpack"
    PROBE = "probe"
    BASELINE = "baseline"
    PATCH = "patch"
    CORRECT = "correct"
    BUILD = "build"
    INSPECT = "inspect"
    REUSE = "reuse"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that will be done: `stage` to `subject` (a package, a module, the artifacts)."""

    stage: Stage
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class PlannedRefusal:
    """A driver that cannot be built, known before anything ran."""

    driver: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """All that decides what comes out.

    `probed` are the drivers whose sources are unpacked, once per kernel: always the whole catalogue, so that the
    outcome does not depend on which drivers are asked for.
    """

    packages: KernelPackages
    compiler: str
    netmap_sha256: str
    subsystems: tuple[str, ...]
    patch_names: tuple[str, ...]
    probed: tuple[Driver, ...]
    drivers: tuple[Driver, ...]
    corrections: tuple[Correction, ...] = ()
    rules: tuple[Rule, ...] = ()
    compat: tuple[Compat, ...] = ()
    # Where it is compiled and with what, for the person who reads the plan; `compiler` is what decides.
    builder: str = "host"
    tools: str = "the compiler of this host"
    # Modules keep none either way; with it, what was stripped is kept beside them.
    debug_symbols: bool = False
    # The releases of the drivers that are built by the vendor method.
    vendors: tuple[VendorTree, ...] = ()

    def get_vendor(self, driver: str) -> VendorTree | None:
        """The release `driver` is built from, or None when it is the kernel's own source."""
        return next((tree for tree in self.vendors if tree.release.driver == driver), None)

    def get_attempts(self, driver: Driver) -> tuple[Attempt, ...]:
        """The ways `driver` is patched in, first choice first; raises StageError when there is none."""
        missing = [name for name in driver.needs if name not in self.subsystems]
        if missing:
            raise StageError(
                "patch", driver.name, f"it needs netmap's subsystem {missing[0]}, which was left out"
            )
        rules = {rule.driver: rule for rule in self.rules}
        vendor = self.get_vendor(driver.name)
        release = None if vendor is None else vendor.release
        return plan_attempts(driver, self.patch_names, self.packages.kernel_version, rules, release)

    def get_compat(self) -> tuple[Compat, ...]:
        """The changes of kernel interfaces this kernel is looked at for; they matter to netmap and all drivers."""
        return select_compat(self.compat, self.packages.kernel_version)

    def get_corrections(self, driver: str) -> tuple[str, ...]:
        """The names of the corrections `driver` is built with."""
        return tuple(correction.name for correction in self.find_corrections(driver))

    def find_corrections(self, *subjects: str) -> Iterator[Correction]:
        """The corrections for `subjects`; those of a patch only where it is the one that is tried."""
        patches = {
            attempt.name
            for driver in self.drivers
            if driver.name in subjects and driver.method == "in-tree"
            for attempt in self._try_attempts(driver)
        }
        for correction in self.corrections:
            if correction.driver in subjects and correction.patch in {None, *patches}:
                yield correction

    def _try_attempts(self, driver: Driver) -> tuple[Attempt, ...]:
        try:
            return self.get_attempts(driver)
        except StageError:
            return ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What is there already: modules in the cache, and the artifacts' key or what is wrong with them.

    `probed` are the drivers the cached netmap.ko's header answers for; None: all.
    """

    cached_modules: frozenset[str] = frozenset()
    probed: frozenset[str] | None = None
    artifacts_key: str | None = None
    artifacts_problem: str | None = None


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """The steps in their order; `key` is the hash of all inputs."""

    release: str
    key: str
    steps: tuple[Step, ...]
    refused: tuple[PlannedRefusal, ...]

    @property
    def changes(self) -> bool:
        return any(step.stage is Stage.WRITE for step in self.steps)


def build_key(inputs: BuildInputs, *subjects: str) -> str:
    """The hash of everything that decides how `subjects` come out (modules by name)."""
    document = {
        "recipe": RECIPE,
        "release": inputs.packages.release.text,
        "packages": [[package.name, package.version, package.sha256] for package in inputs.packages.all],
        "compiler": inputs.compiler,
        "netmap": inputs.netmap_sha256,
        "subsystems": list(inputs.subsystems),
        "probed": [driver.model_dump(mode="json", exclude=_NOT_IN_KEYS) for driver in inputs.probed],
        "attempts": [
            [driver.name, bool(driver.adapted_first)] for driver in inputs.drivers if driver.name in subjects
        ],
        "rules": [[rule.name, rule.sha256] for rule in inputs.rules if rule.driver in subjects],
        "corrections": [
            correction.model_dump(mode="json", exclude={"why"})
            for correction in inputs.find_corrections(*subjects)
        ],
        "compat": [[entry.name, entry.sha256] for entry in inputs.get_compat()],
        "subjects": sorted(subjects),
        **({"debug_symbols": True} if inputs.debug_symbols else {}),
        **_describe_vendors(inputs, subjects),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _describe_vendors(inputs: BuildInputs, subjects: Sequence[str]) -> dict[str, list[object]]:
    """Nothing where there is no vendor's release, so that a module of the kernel's own source keeps its key."""
    trees = [tree for name in sorted(subjects) if (tree := inputs.get_vendor(name))]
    described: list[object] = [
        [
            tree.release.model_dump(mode="json", exclude={"url", "why", "tag"}),
            tree.tree_sha256,
            tree.archive_sha256,
        ]
        for tree in trees
    ]
    return {"vendors": described} if described else {}


def plan_build(inputs: BuildInputs, observed: Observed) -> BuildPlan:
    """The steps from nothing, or from what is observed, to the artifacts directory of `inputs`."""
    key = build_key(inputs, NETMAP, *(driver.name for driver in inputs.drivers))
    release = inputs.packages.release.text
    patches, refused = _choose_patches(inputs)
    names = [NETMAP, *patches]
    if observed.artifacts_key == key:
        steps = [Step(Stage.KEEP, release, "same inputs as the artifacts there; their hashes are right")]
    else:
        missing = [name for name in names if name not in observed.cached_modules]
        steps = list(_plan_sources(inputs)) if missing else []
        for name in names:
            steps += _plan_module(inputs, name, patches.get(name), name in observed.cached_modules)
            if name == NETMAP and (unknown := _find_unprobed(inputs, patches, observed)):
                found = (
                    f"netmap's compile probes once more: the cached netmap.ko's did not look at {unknown[0]}"
                )
                steps.append(Step(Stage.PROBE, NETMAP, found))
        why = (
            f"; what is there is not whole: {observed.artifacts_problem}"
            if observed.artifacts_problem
            else ""
        )
        steps.append(Step(Stage.WRITE, release, f"{len(names)} modules and manifest.json{why}"))
    return BuildPlan(release, key, tuple(steps), tuple(refused))


def _find_unprobed(inputs: BuildInputs, patches: Mapping[str, str], observed: Observed) -> list[str]:
    """The drivers to build of which the cached netmap.ko's configuration knows nothing."""
    if NETMAP not in observed.cached_modules or observed.probed is None:
        return []
    known = observed.cached_modules | observed.probed
    return [name for name in patches if name not in known and inputs.get_vendor(name) is None]


def _choose_patches(inputs: BuildInputs) -> tuple[dict[str, str], list[PlannedRefusal]]:
    patches: dict[str, str] = {}
    refused: list[PlannedRefusal] = []
    for driver in inputs.drivers:
        try:
            patches[driver.name] = render_attempts(inputs.get_attempts(driver))
        except StageError as error:
            refused.append(PlannedRefusal(driver.name, error.stage, error.reason))
    return patches, refused


def _plan_sources(inputs: BuildInputs) -> Iterator[Step]:
    yield Step(Stage.TOOLS, inputs.builder, inputs.tools)
    for package in inputs.packages.all:
        yield Step(Stage.FETCH, package.name, f"{package.version}, SHA-256 {package.sha256[:16]}")
    yield Step(
        Stage.UNPACK, inputs.packages.headers.name, f"with -common and kbuild; needs {inputs.compiler}"
    )
    yield Step(Stage.UNPACK, inputs.packages.source.name, f"the sources of {len(inputs.probed)} drivers")


def _plan_module(inputs: BuildInputs, name: str, patch: str | None, cached: bool) -> Iterator[Step]:
    if cached:
        yield Step(Stage.REUSE, name, "built from the same inputs before")
        return
    if patch is None:
        compat = "".join(f"; looks for the change {entry.name}" for entry in inputs.get_compat())
        yield Step(
            Stage.PROBE, name, f"compile probes of the kernel's interfaces and of these drivers{compat}"
        )
    else:
        yield from _plan_vendor(inputs, name)
        yield Step(Stage.BASELINE, name, "the unpatched driver compiles")
        yield Step(Stage.PATCH, name, patch)
    if corrections := inputs.get_corrections(name):
        yield Step(Stage.CORRECT, name, ", ".join(corrections))
    yield Step(Stage.BUILD, name, f"{name}.ko")
    yield Step(Stage.INSPECT, name, "vermagic, depends, symbol versions")


def _plan_vendor(inputs: BuildInputs, name: str) -> Iterator[Step]:
    tree = inputs.get_vendor(name)
    if tree is not None:
        pinned = "pinned" if tree.pinned else "not pinned, accepted"
        what = f"{tree.release.vendor} {tree.release.version}, tree {tree.tree_sha256[:16]}, {pinned}"
        yield Step(Stage.UNPACK, name, what)
        yield Step(Stage.PROBE, name, "netmap's compile probes of this driver, on the vendor's source")
