# SPDX-License-Identifier: Apache-2.0
"""Netmap's steps and every driver's are chains that run beside each other, as many as there are jobs.

A driver is compiled unpatched and patched without netmap; only then it needs netmap's symbols. So no core waits
for netmap's compile probes, which run one by one. The largest drivers begin first: whatever is last runs alone.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import MappingProxyType

from driver_builds import process
from driver_builds.errors import DriverBuildError
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.jobserver import Jobserver
from driver_builds.plan import NETMAP, Stage, Step

# Called after each step with its duration in seconds and the error it ended with, if any.
Report = Callable[[Step, float, DriverBuildError | None], None]
ApplySteps = Callable[[Sequence[Step], BuildContext, Report], None]

# What needs netmap.ko of this build, its symbols or its configuration.
_AFTER_NETMAP = frozenset({Stage.BUILD, Stage.INSPECT})


def apply_chains(
    steps: Sequence[Step],
    build: BuildContext,
    report: Report,
    apply: ApplySteps,
    sizes: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Carries out the steps of netmap and the drivers; raises the first error `apply` raises, all stopped.

    `sizes` says in which order chains begin, the largest first.
    """
    line = threading.Lock()

    def report_alone(step: Step, seconds: float, error: DriverBuildError | None) -> None:
        with line:
            report(step, seconds, error)

    with _jobserver(build) as server:
        run = _Chains(build, sizes, server, report_alone, apply)
        first, second = split_chains(steps)
        with ThreadPoolExecutor(max_workers=build.jobs) as pool, run.stopped_on_error():
            run.finish(pool, first, second)


def split_chains(steps: Sequence[Step]) -> tuple[dict[str, list[Step]], dict[str, list[Step]]]:
    """(chains up to netmap's end, the drivers' from there) by subject, netmap first, each in the plan's order."""
    first: dict[str, list[Step]] = {NETMAP: []}
    second: dict[str, list[Step]] = {}
    for step in steps:
        later = step.subject != NETMAP and step.stage in _AFTER_NETMAP
        (second if later else first).setdefault(step.subject, []).append(step)
    return {subject: chain for subject, chain in first.items() if chain}, second


class _Chains:
    """Runs chains in threads; after an error no step begins any more."""

    def __init__(
        self,
        build: BuildContext,
        sizes: Mapping[str, float],
        server: Jobserver,
        report: Report,
        apply: ApplySteps,
    ) -> None:
        self._build = build
        self._sizes = sizes
        self._server = server
        self._report = report
        self._apply = apply
        self._stopped = threading.Event()
        self._futures: list[Future[None]] = []

    def chain(self, steps: Sequence[Step]) -> None:
        with self._server.token():
            for step in steps:
                if self._stopped.is_set():
                    return
                self._apply([step], self._build, self._report)

    def finish(
        self, pool: ThreadPoolExecutor, first: Mapping[str, list[Step]], second: Mapping[str, list[Step]]
    ) -> None:
        """Until all have ended; raises what the first one that failed raised, the others not waited for.

        A driver's second chain begins when its first one and netmap's have ended, whatever the other drivers do.
        """
        subjects = {pool.submit(self.chain, first[name]): name for name in self._sort(first)}
        unfinished, waiting = set(first), dict(second)
        while subjects:
            self._futures = list(subjects)
            for future in wait(subjects, return_when=FIRST_COMPLETED).done:
                future.result()
                unfinished.discard(subjects.pop(future))
            ready = [] if NETMAP in unfinished else [name for name in waiting if name not in unfinished]
            subjects |= {pool.submit(self.chain, waiting.pop(name)): name for name in self._sort(ready)}

    def _sort(self, subjects: Iterable[str]) -> list[str]:
        return sorted(subjects, key=lambda subject: -self._sizes.get(subject, 0))

    @contextlib.contextmanager
    def stopped_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._stopped.set()
            # Again and again: a step may have been about to start its program.
            while wait(self._futures, timeout=0.1).not_done:
                process.stop_running()
            raise


@contextlib.contextmanager
def _jobserver(build: BuildContext) -> Iterator[Jobserver]:
    server = Jobserver(build.jobs)
    build.jobserver = server
    try:
        yield server
    finally:
        build.jobserver = None
        server.close()
