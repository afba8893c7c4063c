# SPDX-License-Identifier: Apache-2.0
"""The matrix as values: one cell for each kernel and driver, and never a silent one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from driver_builds.catalogue import Driver, load_corrections, load_refused_drivers
from driver_builds.lab.results import Result
from driver_builds.manifest import Manifest, Module, Refused
from driver_builds.matrix.records import KernelRecord
from driver_builds.plan import NETMAP, Stage


class State(StrEnum):
    """What is known of one driver on one kernel."""

    MOVED = "moved"
    LOADED = "loaded"
    BUILT = "built"
    ABSENT = "absent"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_RUN = "not run"


WORDS = {
    State.MOVED: "built + tested",
    State.LOADED: "built + loaded",
    State.BUILT: "built, not tested",
    State.ABSENT: "absent",
    State.REFUSED: "refused",
    State.FAILED: "failed",
    State.NOT_RUN: "not run",
}

MEANINGS = {
    State.MOVED: "frames moved over native adapters in a guest of this kernel, both ways, checked byte by byte; "
    "reloaded five times, closed while busy, removed while idle and while open (netmap itself: over a VALE switch)",
    State.LOADED: "loaded in a guest of this kernel, all symbols resolved, unloaded; QEMU has no such hardware",
    State.BUILT: "built, but no result of a test of these bytes is here",
    State.ABSENT: "the kernel does not build this driver as a module, so there is nothing to replace",
    State.REFUSED: "not built: the stage that refused it, and why",
    State.FAILED: "built, but failed its test in the guest; or the whole kernel could not be built for",
    State.NOT_RUN: "never tried here: driver-builds matrix --run",
}

_BEFORE_THE_BUILD = {"resolve", Stage.FETCH}

# What `pipeline.baseline` says of a driver the kernel does not have; tests/unit/driver_builds compares.
ABSENT = ("the kernel does not build it as a module", "is not in the kernel's source package")


@dataclass(frozen=True, slots=True)
class Cell:
    """One driver on one kernel; `patch` is the patching stage of what was built, "upstream" or "adapted".

    `vendor` is maker and version of the release it was built from, None for the kernel's own source.
    """

    driver: str
    state: State
    reason: str = ""
    patch: str | None = None
    frames: int = 0
    remove_while_open: str | None = None
    vendor: str | None = None

    @property
    def words(self) -> str:
        return WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Row:
    """One kernel; `version` is its package version, "" when it was never resolved here.

    `behind` are the corrections of today that the netmap.ko it tells of was built without.
    """

    release: str
    distribution: str
    version: str
    cells: tuple[Cell, ...]
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """All rows have the same drivers in the same order."""

    netmap_commit: str
    drivers: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def failed(self) -> list[tuple[str, Cell]]:
        return [(row.release, cell) for row in self.rows for cell in row.cells if cell.state is State.FAILED]

    def count(self, state: State) -> int:
        return sum(cell.state is state for row in self.rows for cell in row.cells)


def build_row(record: KernelRecord, drivers: Sequence[str]) -> Row:
    """One kernel's row from all that is known of it."""
    manifest = record.manifest
    cells = tuple(_build_cell(record, driver) for driver in drivers)
    distribution = manifest.kernel.distribution if manifest else record.distribution
    version = manifest.kernel.version if manifest else record.version
    return Row(record.release, distribution, version, cells, _find_behind(manifest) if manifest else ())


def _find_behind(manifest: Manifest) -> tuple[str, ...]:
    netmap = _find_module(manifest, NETMAP)
    if netmap is None or not manifest.netmap.pinned:
        return ()  # another tree has other faults
    own = [correction.name for correction in load_corrections() if correction.driver == NETMAP]
    return tuple(name for name in own if name not in netmap.corrections)


def _build_cell(record: KernelRecord, driver: str) -> Cell:
    module = _find_module(record.manifest, driver) if record.manifest else None
    if module is not None and module.vendor is not None:
        return replace(_build_known(record, driver), vendor=f"{module.vendor.vendor} {module.vendor.version}")
    return _build_known(record, driver)


def _build_known(record: KernelRecord, driver: str) -> Cell:
    failure = record.failure
    module = _find_module(record.manifest, driver) if record.manifest else None
    # One that was built all the same came from its vendor's release.
    if driver in load_refused_drivers() and module is None:
        return _build_never(record, load_refused_drivers()[driver])
    if record.manifest is None:
        if failure is None:
            return Cell(driver, State.NOT_RUN)
        # What the archive no longer has says nothing against the driver; a build says so before it begins.
        state = State.REFUSED if failure.stage in _BEFORE_THE_BUILD else State.FAILED
        return Cell(driver, state, f"{failure.stage}: {failure.reason}")
    for refused in record.manifest.refused:
        if refused.name == driver:
            return _build_refused(refused)
    if module is None:
        return Cell(driver, State.NOT_RUN)
    patch = None if module.patch is None else str(module.patch.stage)
    result = record.results.get(module.name)
    if result is not None:
        return _build_tested(driver, patch, result)
    if failure is not None:
        state = State.BUILT if failure.stage in _BEFORE_THE_BUILD else State.FAILED
        return Cell(driver, state, f"{failure.stage}: {failure.reason}", patch)
    return Cell(driver, State.BUILT, "", patch)


def _build_never(record: KernelRecord, driver: Driver) -> Cell:
    """A driver that data refuses for every kernel: nothing need be run to know it."""
    if driver.name in record.absent:
        return Cell(driver.name, State.ABSENT, f"{ABSENT[0]} ({driver.config} is not m)")
    return Cell(driver.name, State.REFUSED, f"patch: {driver.why}")


def _find_module(manifest: Manifest, driver: str) -> Module | None:
    return next((module for module in manifest.modules if module.name == driver), None)


def _build_refused(refused: Refused) -> Cell:
    if any(text in refused.reason for text in ABSENT):
        return Cell(refused.name, State.ABSENT, refused.reason)
    return Cell(refused.name, State.REFUSED, f"{refused.stage}: {refused.reason}")


def _build_tested(driver: str, patch: str | None, result: Result) -> Cell:
    state = State(result.evidence)
    return Cell(driver, state, result.reason, patch, result.frames, result.remove_while_open)
