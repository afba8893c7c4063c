# SPDX-License-Identifier: Apache-2.0
"""Builds and tests one kernel after the other; what one of them lacks does not stop the next."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from driver_builds import request
from driver_builds.errors import DriverBuildError, UsageError
from driver_builds.lab.run import Report as GuestReport
from driver_builds.lab.run import gather_evidence
from driver_builds.matrix import records
from driver_builds.pipeline.chains import Report as StepReport


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: `error` is what this kernel ended with, `left_s` a guess from those before."""

    release: str
    done: int
    wanted: int
    seconds: float
    left_s: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Reports:
    """Who hears of what: build steps, guests, other builds waited for, and finished kernels."""

    step: StepReport
    guest: GuestReport
    waiting: request.Waiting
    kernel: Callable[[Progress], None]


def run_matrix(releases: Sequence[str], asked: request.BuildRequest, reports: Reports) -> None:
    """Builds `asked` for each kernel, tests what came out and records both.

    A run that was stopped goes on where it was: finished modules and results are found again by their hashes.
    """
    spent_s: list[float] = []
    for number, release in enumerate(releases, start=1):
        started = time.monotonic()
        error = _run_kernel(replace(asked, release=release), reports)
        seconds = time.monotonic() - started
        # What only verified hashes says nothing of how long the others take.
        spent_s += [seconds] if seconds > 2 else []
        left_s = (len(releases) - number) * (sum(spent_s) / len(spent_s) if spent_s else seconds)
        reports.kernel(Progress(release, number, len(releases), seconds, left_s, error))


def _run_kernel(asked: request.BuildRequest, reports: Reports) -> str | None:
    """What went wrong with the whole kernel, or None."""
    cache = asked.cache.absolute()
    built = False
    try:
        outcome = request.build(asked, reports.step, reports.waiting)
        records.write_manifest(cache, outcome.manifest)
        built = True
        gather_evidence(outcome.folder, cache, again=False, report=reports.guest, waiting=reports.waiting)
    except UsageError:
        raise
    except (DriverBuildError, OSError) as error:
        records.write_failure(cache, asked.release, error, built=built)
        return str(error)
    return None
