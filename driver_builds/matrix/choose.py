# SPDX-License-Identifier: Apache-2.0
"""Which kernels the matrix is about when none is named."""

import re
from collections.abc import Iterable, Mapping

from driver_builds.distributions import KernelPackages
from driver_builds.release import release_order


def choose_newest(kernels: Iterable[KernelPackages]) -> list[KernelPackages]:
    """The newest kernel of every suite and flavour, by distribution and age.

    Security and update suites are their release's. A release may carry two series for good (5.10 and 6.1 in Debian
    11); a backports suite replaces the older one.
    """
    newest: dict[tuple[str, str, str, str | None], KernelPackages] = {}
    for kernel in sorted(kernels, key=lambda one: release_order(one.release)):
        suite = re.sub(r"-(security|updates|proposed-updates)$", "", kernel.headers.suite)
        series = "" if suite.endswith("-backports") else kernel.release.series
        newest[suite, series, kernel.release.flavour, kernel.release.featureset] = kernel
    return sorted(newest.values(), key=lambda one: (one.distribution, release_order(one.release)))


def find_named(kernels: Mapping[str, KernelPackages], release: str) -> tuple[str, str]:
    """Distribution and version of a kernel as far as they are known; ("", "") else."""
    known = kernels.get(release)
    return (known.distribution, known.headers.version) if known else ("", "")
