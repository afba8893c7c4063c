# SPDX-License-Identifier: Apache-2.0
"""Everything some kernels' builds need, fetched beside each other; what was begun is gone on with."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process
from driver_builds.distributions import KernelPackages, Package, apt
from driver_builds.errors import DriverBuildError

# A mirror serves a few files as fast as many; apt itself asks for no more at once.
AT_ONCE = 4

_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """One package: `file` where it is, `cached` that it was there before; `error` that it is not there."""

    package: Package
    file: Path
    cached: bool
    error: DriverBuildError | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: of all that was missing at the start."""

    done_bytes: int
    total_bytes: int
    seconds: float

    @property
    def left_s(self) -> float | None:
        """Seconds to go at the pace so far; None before there is one."""
        if self.done_bytes == 0:
            return None
        return (self.total_bytes - self.done_bytes) * self.seconds / self.done_bytes


def plan_fetch(kernels: Iterable[KernelPackages], *, images: bool = False) -> list[Package]:
    """Every package the kernels need, each once, the largest first; with `images` also what boots them."""
    wanted: dict[str, Package] = {}
    for kernel in kernels:
        for package in (*kernel.all, *(kernel.images if images else ())):
            wanted[package.file_name] = package
    return sorted(wanted.values(), key=lambda package: (-package.size_bytes, package.name))


def fetch_all(
    packages: Sequence[Package],
    cache: Path,
    finished: Callable[[Fetched], None],
    progress: Callable[[Progress], None],
) -> list[Fetched]:
    """Fetches `packages` into the cache; one that fails does not stop the others. Order as given."""
    there = {package for package in packages if apt.get_package_path(package, cache).is_file()}
    missing = [package for package in packages if package not in there]
    started_bytes = _count_bytes(missing, cache)
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        futures = {pool.submit(_fetch, package, cache, package in there): package for package in packages}
        try:
            left: set[Future[Fetched]] = set(futures)
            while left:
                done, left = wait(left, timeout=_TICK_S)
                for future in done:
                    finished(future.result())
                now = _count_bytes(missing, cache) - started_bytes
                total = sum(package.size_bytes for package in missing) - started_bytes
                progress(Progress(now, total, time.monotonic() - started))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while wait(futures, timeout=0.1).not_done:
                process.stop_running()
            raise
    results = {package: future.result() for future, package in futures.items()}
    return [results[package] for package in packages]


def _fetch(package: Package, cache: Path, cached: bool) -> Fetched:
    path = apt.get_package_path(package, cache)
    try:
        return Fetched(package, apt.fetch_package(package, cache), cached)
    except DriverBuildError as error:
        return Fetched(package, path, cached, error)


def _count_bytes(packages: Iterable[Package], cache: Path) -> int:
    """How much of the packages is there, whole or begun."""
    total = 0
    for package in packages:
        for path in (apt.get_package_path(package, cache), apt.get_partial_path(package, cache)):
            try:
                total += path.stat().st_size
                break
            except FileNotFoundError:
                continue
    return total
