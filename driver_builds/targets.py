# SPDX-License-Identifier: Apache-2.0
"""What must be built for some hosts: each distinct kernel once, with all drivers its hosts need."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from driver_builds.catalogue import load_drivers
from driver_builds.distributions import KernelPackages
from driver_builds.errors import DriverBuildError
from driver_builds.facts import HostFacts
from driver_builds.hardware import METHOD, PciTable
from driver_builds.release import parse_release, release_order

# The packages of a kernel by its release; raises DriverBuildError where there are none.
Resolve = Callable[[str], KernelPackages]


@dataclass(frozen=True, slots=True)
class DriverTarget:
    """One driver, and the way it is built."""

    name: str
    method: str = METHOD


@dataclass(frozen=True, slots=True)
class Target:
    """One kernel: what is built for it, and for whom."""

    release: str
    distribution: str
    drivers: tuple[DriverTarget, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a host that nothing can be built for; `subject` is a kernel or a NIC."""

    host: str
    subject: str
    reason: str


def plan_targets(
    hosts: Sequence[HostFacts], table: PciTable, resolve: Resolve
) -> tuple[list[Target], list[Problem]]:
    """The distinct targets of `hosts`, oldest kernel first, and what nothing can be built for."""
    problems: list[Problem] = []
    wanted: dict[str, dict[str, set[str]]] = {}
    for facts in hosts:
        drivers, without = find_needs(facts, table)
        problems += without
        for kernel in facts.kernels:
            wanted.setdefault(kernel, {})[facts.host] = drivers
    targets = []
    for kernel, needs in wanted.items():
        try:
            packages = resolve(kernel)
        except DriverBuildError as error:
            problems += [Problem(host, kernel, str(error).splitlines()[0]) for host in needs]
            continue
        names = set().union(*needs.values())
        targets.append(_build_target(packages, names, sorted(needs)))
        for host, drivers in needs.items():
            reason = f"{kernel} does not contain this driver as a module"
            problems += [Problem(host, name, reason) for name in sorted(drivers & set(packages.absent))]
    targets.sort(key=lambda target: release_order(parse_release(target.release)))
    return targets, problems


def plan_kernel(packages: KernelPackages) -> Target:
    """The target of a kernel nothing else is known of: all drivers it contains."""
    return _build_target(packages, set(load_drivers()), [])


def find_needs(facts: HostFacts, table: PciTable) -> tuple[set[str], list[Problem]]:
    """The drivers a host's NICs need, and the NICs that have none here."""
    needed, problems = set[str](), []
    for nic in facts.nics:
        name = table.find_driver(nic.id) or nic.driver
        if name in load_drivers():
            needed.add(name)
        else:
            what = f"its driver {name} is not built here" if name else "no driver known here has it"
            problems.append(Problem(facts.host, f"NIC {nic.address} {nic.id}".strip(), what))
    return needed, problems


def _build_target(packages: KernelPackages, names: Iterable[str], hosts: Sequence[str]) -> Target:
    there = set(names) - set(packages.absent)
    drivers = tuple(DriverTarget(name) for name in load_drivers() if name in there)
    return Target(packages.release.text, packages.distribution, drivers, tuple(hosts))
