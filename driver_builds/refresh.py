# SPDX-License-Identifier: Apache-2.0
"""Writes data/kernels anew: the kernels of all distribution releases as their archives have them now."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from driver_builds.distributions import KernelPackages, apt, known
from driver_builds.errors import DriverBuildError, StageError
from driver_builds.release import KernelRelease

# Called with each kernel found, and what is wrong with it, if anything.
Report = Callable[[KernelPackages, DriverBuildError | None], None]

# Archives keep old packages for a while, mirrors do not always have the newest: how far back is looked.
_FURTHEST = 8


def refresh_kernels(cache: Path, folder: Path, count: int, report: Report) -> list[Path]:
    """Fetches all indexes and writes `folder`/RELEASE.json; returns the files written.

    Of every series, flavour and feature set: the newest kernel in any case, and the newest `count` whose small packages
    this host's mirror really has. Files of older kernels stay: a fleet runs kernels longer than an archive keeps them.
    """
    written = []
    for releases in known.read_releases(cache, refresh=True).values():
        for group in known.group_releases(releases):
            for packages in _select(group, cache, count, report):
                path = folder / f"{packages.release.text}.json"
                known.save_kernel_packages(packages, path)
                written.append(path)
    return written


def _select(
    group: Sequence[KernelRelease], cache: Path, count: int, report: Report
) -> Iterator[KernelPackages]:
    found = 0
    for number, release in enumerate(reversed(group[-_FURTHEST:])):
        try:
            packages = known.find_in_archives(release, cache)
        except StageError:
            # No exact set, such as a source package the archive has dropped: nothing can be known of it.
            continue
        problem = _find_problem(packages, cache)
        report(packages, problem)
        if number == 0 or problem is None:
            yield packages
        found += problem is None
        if found >= count:
            return


def _find_problem(packages: KernelPackages, cache: Path) -> DriverBuildError | None:
    """Why the small ones of a kernel's packages cannot be fetched, or None."""
    try:
        for package in (packages.headers, packages.rt_patches):
            if package is not None:
                apt.fetch_package(package, cache)
    except DriverBuildError as error:
        return error
    return None
