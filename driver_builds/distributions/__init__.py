# SPDX-License-Identifier: Apache-2.0
"""Where a kernel's packages come from: one file per distribution, the same few values from each."""

import re
from dataclasses import dataclass
from pathlib import Path

from driver_builds.errors import StageError
from driver_builds.release import KernelRelease


@dataclass(frozen=True, slots=True)
class Package:
    """One binary package of a distribution, pinned by the SHA-256 its signed index gives."""

    name: str
    version: str
    architecture: str
    sha256: str
    size_bytes: int

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True)
class KernelPackages:
    """The packages one kernel's modules are built from; all of one source version."""

    release: KernelRelease
    distribution: str
    compiler: str
    headers: Package
    common: Package
    kbuild: Package
    source: Package

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
        return self.headers, self.common, self.kbuild, self.source

    @property
    def build_packages(self) -> tuple[Package, ...]:
        """What the build folder needs; the source package apart."""
        return self.headers, self.common, self.kbuild


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
