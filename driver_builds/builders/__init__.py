# SPDX-License-Identifier: Apache-2.0
"""Where a kernel's modules are compiled: on this host, or with the tools of the kernel's own distribution release.

Whatever must be the target's own (its compiler, Kbuild's programs, strip) is run by a `Builder`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from driver_builds import process
from driver_builds.compiler import read_compiler


class Builder(Protocol):
    """One set of tools; folders have the same names in it as on this host."""

    @property
    def name(self) -> str:
        """What the manifest and messages call it: "host", "chroot debian 13"."""

    def describe(self) -> str:
        """What a plan says of it."""

    def read_compiler(self) -> str:
        """The version line of the kernel's compiler as it is there, "gcc-12 (Debian 12.2.0-14) 12.2.0"."""

    def prepare(self) -> None:
        """Makes it ready to run; the first time that can take a minute."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        inherit: Sequence[int] = (),
    ) -> process.Finished:
        """Runs a program to its end, as `process.run` does."""


class HostBuilder:
    """This host's own tools."""

    name = "host"

    def __init__(self, compiler: str = "gcc") -> None:
        self.compiler = compiler

    def describe(self) -> str:
        """The compiler this host has."""
        return f"{self.read_compiler()} of this host"

    def read_compiler(self) -> str:
        """The version line of this host's compiler."""
        return read_compiler(self.compiler)

    def prepare(self) -> None:
        """Nothing to do."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        inherit: Sequence[int] = (),
    ) -> process.Finished:
        """Runs a program of this host."""
        return process.run(arguments, cwd=cwd, environment=environment, log=log, inherit=inherit)
