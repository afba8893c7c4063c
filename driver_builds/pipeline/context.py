# SPDX-License-Identifier: Apache-2.0
"""What the stages of one build hand on to each other."""

from dataclasses import dataclass, field
from pathlib import Path

from driver_builds.adapt.insert import Inserted
from driver_builds.attempts import PatchStage
from driver_builds.builders import Builder, HostBuilder
from driver_builds.catalogue import Driver
from driver_builds.distributions import KernelTree
from driver_builds.manifest import Module, Refused
from driver_builds.netmap_source import NetmapTree
from driver_builds.patches import HunkResult
from driver_builds.pipeline.jobserver import Jobserver
from driver_builds.plan import NETMAP, BuildInputs, build_key


@dataclass(frozen=True, slots=True)
class AppliedPatch:
    """A patch or a rule as it went in; `instead_of` says why netmap's patch was not used."""

    stage: PatchStage
    name: str
    sha256: str
    hunks: tuple[HunkResult, ...] = ()
    hooks: tuple[Inserted, ...] = ()
    instead_of: str | None = None


@dataclass(slots=True)
class BuildContext:
    """Inputs, folders, and what the stages so far have found.

    `work` is empty at the start and removed at the end; `logs` stays until the next build of this kernel.
    """

    inputs: BuildInputs
    tree: NetmapTree
    cache: Path
    artifacts: Path
    work: Path
    logs: Path
    jobs: int
    builder: Builder = field(default_factory=HostBuilder)
    jobserver: Jobserver | None = None
    package_files: dict[str, Path] = field(default_factory=dict)
    kernel: KernelTree | None = None
    sources: Path | None = None
    netmap_folder: Path | None = None
    patches: dict[str, AppliedPatch] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    changed: bool = False

    def get_driver(self, name: str) -> Driver:
        return next(driver for driver in self.inputs.drivers if driver.name == name)

    def get_log(self, subject: str) -> Path:
        return self.logs / f"{subject}.log"

    def get_folder(self, subject: str) -> Path:
        """Where the module `subject` is compiled; netmap's also holds what the drivers include and import."""
        if subject == NETMAP:
            return self.netmap_folder or self.work / NETMAP
        return self.work / "drivers" / subject

    def get_trace_folder(self, subject: str) -> Path:
        """Stands for include/trace of a kernel's tree in the compiler's search; empty."""
        return self.get_folder(subject) / "include" / "trace"

    def get_probe_folder(self, subject: str) -> Path:
        """Where netmap's probes leave what they found: of all in this build, or of one driver's vendor release."""
        return self.work / NETMAP if subject == NETMAP else self.get_folder(subject) / "probe"

    def get_corrected(self, subject: str) -> Path:
        """Where corrected copies of netmap's headers are for one driver; the compiler looks there first."""
        return self.get_folder(subject) / "corrected"

    def get_cached(self, subject: str) -> Path:
        """Where the finished module is kept for the next build from the same inputs."""
        return self.cache / "modules" / f"{subject}-{build_key(self.inputs, subject)}"

    @property
    def ready_kernel(self) -> KernelTree:
        assert self.kernel is not None, "the plan unpacks the kernel first"
        return self.kernel

    @property
    def ready_sources(self) -> Path:
        assert self.sources is not None, "the plan unpacks the driver sources first"
        return self.sources
