# SPDX-License-Identifier: Apache-2.0
"""Which builder a kernel's modules are made by: this host where it has the kernel's own tools, else a chroot."""

from collections.abc import Sequence
from pathlib import Path

from driver_builds import process
from driver_builds.builders import Builder, HostBuilder
from driver_builds.builders.chroot import ChrootBuilder
from driver_builds.compiler import parse_compiler_version, read_compiler
from driver_builds.distributions import KernelPackages
from driver_builds.distributions.releases import get_distribution, read_host_name


def choose_builder(packages: KernelPackages, cache: Path, folders: Sequence[Path]) -> Builder:
    """The builder for a kernel; `folders` are those a build works on beside the cache."""
    if is_host_enough(packages, read_host_name(), _read_host_compiler(packages.compiler)):
        return HostBuilder(packages.compiler)
    distribution = get_distribution(packages.distribution)
    return ChrootBuilder(distribution, packages.compiler, packages.compiler_record, cache, [cache, *folders])


def is_host_enough(packages: KernelPackages, host: str, compiler: str) -> bool:
    """Whether a host (as /etc/os-release names it) with that compiler has the kernel's own tools.

    Kbuild's programs need the libraries of the kernel's release, and its record names the compiler's version.
    """
    recorded = packages.compiler_record
    same = parse_compiler_version(recorded) == parse_compiler_version(compiler)
    return host == packages.distribution and bool(recorded) and same


def _read_host_compiler(name: str) -> str:
    return read_compiler(name) if process.find_program(name) else ""
