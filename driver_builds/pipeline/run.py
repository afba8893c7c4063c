# SPDX-License-Identifier: Apache-2.0
"""Carries a plan out step by step: who failed, at which stage, and what is built all the same."""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from driver_builds import process, store
from driver_builds.errors import DriverBuildError, StageError
from driver_builds.manifest import Refused
from driver_builds.pipeline.baseline import apply_baseline
from driver_builds.pipeline.build import apply_build
from driver_builds.pipeline.chains import Report, apply_chains
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.correct import apply_correct
from driver_builds.pipeline.fetch import apply_fetch
from driver_builds.pipeline.inspect import apply_inspect
from driver_builds.pipeline.patch import apply_patch
from driver_builds.pipeline.probe import apply_probe
from driver_builds.pipeline.reuse import apply_reuse
from driver_builds.pipeline.tools import apply_tools
from driver_builds.pipeline.unpack import apply_unpack
from driver_builds.pipeline.write import apply_write
from driver_builds.plan import NETMAP, BuildPlan, Stage, Step

_STAGES: dict[Stage, Callable[[BuildContext, Step], None]] = {
    Stage.TOOLS: apply_tools,
    Stage.FETCH: apply_fetch,
    Stage.UNPACK: apply_unpack,
    Stage.PROBE: apply_probe,
    Stage.BASELINE: apply_baseline,
    Stage.PATCH: apply_patch,
    Stage.CORRECT: apply_correct,
    Stage.BUILD: apply_build,
    Stage.INSPECT: apply_inspect,
    Stage.REUSE: apply_reuse,
    Stage.WRITE: apply_write,
}


def apply_plan(plan: BuildPlan, build: BuildContext, report: Report) -> None:
    """Carries `plan` out: what all share first, then netmap and the drivers beside each other, then the rest.

    A driver's failure is recorded in `build.refused` and the others go on; any other failure raises.
    """
    for refusal in plan.refused:
        build.refused[refusal.driver] = Refused(
            name=refusal.driver, stage=refusal.stage, reason=refusal.reason, lines=[], log=None
        )
    modules = {NETMAP, *(driver.name for driver in build.inputs.drivers)}
    shared = [step for step in plan.steps if step.subject not in modules]
    last = [step for step in shared if step.stage is Stage.WRITE]
    _apply_steps([step for step in shared if step not in last], build, report)
    chained = [step for step in plan.steps if step.subject in modules]
    apply_chains(chained, build, report, _apply_steps, _measure(build))
    _apply_steps(last, build, report)


def _measure(build: BuildContext) -> dict[str, float]:
    """Bytes of C of each driver that will be compiled; netmap before all, since all need it."""
    sizes = {NETMAP: math.inf}
    for driver in build.inputs.drivers if build.sources else ():
        source = build.ready_sources / driver.source
        files = [path for path in (source, *source.rglob("*.c")) if path.is_file()]
        sizes[driver.name] = sum(path.stat().st_size for path in files)
    return sizes


def _apply_steps(steps: Sequence[Step], build: BuildContext, report: Report) -> None:
    """Carries out `steps` one after the other; those of a driver end where it is refused."""
    drivers = {driver.name for driver in build.inputs.drivers}
    for step in steps:
        if step.subject in build.refused:
            continue
        started = time.monotonic()
        try:
            _STAGES[step.stage](build, step)
        except DriverBuildError as error:
            report(step, time.monotonic() - started, error)
            if step.subject not in drivers or not isinstance(error, StageError):
                raise
            _refuse(build, error)
        else:
            report(step, time.monotonic() - started, None)


def _refuse(build: BuildContext, error: StageError) -> None:
    build.files.pop(error.subject, None)
    build.refused[error.subject] = Refused(
        name=error.subject, stage=str(error.stage), reason=error.reason, lines=list(error.lines), log=None
    )


@contextmanager
def work_folders(cache: Path, release: str, waiting: Callable[[Path], None]) -> Iterator[tuple[Path, Path]]:
    """The empty folders (work, logs) of one kernel's build, held alone; `work` is removed at the end.

    They have the same names every time, so that nothing of a chance folder name can get into a module.
    """
    folder = cache / "builds" / release
    with store.locked(folder, waiting=waiting) as lock, process.held(lock):
        work, logs = folder / "work", folder / "logs"
        for path in (work, logs):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        try:
            yield work, logs
        finally:
            shutil.rmtree(work, ignore_errors=True)
