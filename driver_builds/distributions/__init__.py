# SPDX-License-Identifier: Apache-2.0
"""Where a kernel's packages come from: one file per distribution, the same few values from each."""

import re
from dataclasses import dataclass
from pathlib import Path

from driver_builds.errors import StageError
from driver_builds.release import KernelRelease


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a distribution's archive, pinned by the SHA-256 its signed index gives.

    A binary package, or (`architecture` "source") the tarball of a source package with Debian's own patches. `path`
    is its place below the archive's address (pool/...), `suite` the suite whose index has it.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    size_bytes: int
    path: str = ""
    suite: str = ""

    @property
    def file_name(self) -> str:
        """What the file is called in the cache."""
        if self.architecture == "source":
            return f"{self.name}_{self.version}.debian.tar.xz"
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True)
class KernelPackages:
    """The packages one kernel's modules are built from; all of one source version.

    `kbuild` is None where the headers have Kbuild's programs in them. `compiler` is the program's name,
    `compiler_record` the kernel's own CONFIG_CC_VERSION_TEXT. `images` are what a guest needs to boot this kernel
    (kernel and its stock modules); nothing is built from them. `rt_patches` holds the PREEMPT_RT patch set, where this
    kernel was built with one and the source package is without it. `absent` are the drivers of data/drivers.toml it
    does not build as modules, as far as its configuration was looked at.
    """

    release: KernelRelease
    distribution: str
    compiler: str
    headers: Package
    common: Package
    kbuild: Package | None
    source: Package
    images: tuple[Package, ...] = ()
    compiler_record: str = ""
    rt_patches: Package | None = None
    absent: tuple[str, ...] = ()

    @property
    def kernel_version(self) -> tuple[int, int, int]:
        """The upstream version of the source: 6.1.192-2 -> (6, 1, 192); `uname -r` says 6.1.0."""
        match = re.match(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?", self.source.version)
        if match is None:
            raise StageError(
                "resolve", self.source.name, f"version {self.source.version} has no kernel version"
            )
        return int(match[1]), int(match[2]), int(match[3] or 0)

    @property
    def all(self) -> tuple[Package, ...]:
        """What a build needs; `images` apart."""
        rt_patches = () if self.rt_patches is None else (self.rt_patches,)
        return *self.build_packages, self.source, *rt_patches

    @property
    def build_packages(self) -> tuple[Package, ...]:
        """What the build folder needs; the sources apart."""
        return self.headers, self.common, *(() if self.kbuild is None else (self.kbuild,))


@dataclass(frozen=True, slots=True)
class KernelTree:
    """An unpacked kernel build folder: `build` is what `make -C` takes."""

    root: Path
    build: Path

    @property
    def config(self) -> Path:
        return self.build / ".config"

    @property
    def symbol_versions(self) -> Path:
        return self.build / "Module.symvers"
