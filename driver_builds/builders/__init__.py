# SPDX-License-Identifier: Apache-2.0
"""Where a kernel's modules are compiled: on this host, or with the tools of the kernel's own distribution release.

Whatever must be the target's own (its compiler, Kbuild's programs, strip) is run by a `Builder`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from driver_builds import process


class Builder(Protocol):
    """One set of tools; folders have the same names in it as on this host."""

    @property
    def name(self) -> str:
        """What the manifest and messages call it: "host", "chroot debian 13"."""

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
