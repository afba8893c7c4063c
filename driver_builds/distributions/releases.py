# SPDX-License-Identifier: Apache-2.0
"""The distribution releases of `data/distributions.toml`, and which of them can have a kernel."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from driver_builds.errors import ConfigError, StageError
from driver_builds.release import KernelRelease

_FILE = "distributions.toml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Distribution(_Strict):
    """One release of a distribution; `data/distributions.toml` says what the fields mean."""

    name: str
    family: str
    codename: str
    suites: tuple[str, ...]
    keyring: str
    keyring_package: str
    kernels: tuple[str, ...]
    flavours: tuple[str, ...]
    tools: tuple[str, ...]

    @property
    def folder_name(self) -> str:
        """A name for folders: "debian-12"."""
        return self.name.replace(" ", "-")

    def has_kernel(self, release: KernelRelease) -> bool:
        """Whether this release writes its kernels' names like that."""
        named = any(re.fullmatch(pattern, release.base) for pattern in self.kernels)
        return named and release.flavour in self.flavours


class _File(_Strict):
    distribution: list[Distribution]


@cache
def load_distributions() -> tuple[Distribution, ...]:
    """The releases of the data file, in its order."""
    text = (files("driver_builds") / "data" / _FILE).read_text("utf-8")
    try:
        return tuple(_File.model_validate(tomllib.loads(text)).distribution)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(f"driver_builds/data/{_FILE}: {error}") from error


def get_distribution(name: str) -> Distribution:
    """The release called `name`, "debian 12"; raises ConfigError when the data file has none."""
    for distribution in load_distributions():
        if distribution.name == name:
            return distribution
    known = ", ".join(distribution.name for distribution in load_distributions())
    raise ConfigError(f"driver_builds/data/{_FILE}: no distribution {name}; it has {known}")


def get_family(suite: str) -> str:
    """The family of the distribution that has `suite`; "debian" for one no release has."""
    return next((one.family for one in load_distributions() if suite in one.suites), "debian")


def find_distributions(release: KernelRelease) -> tuple[Distribution, ...]:
    """The releases that can have this kernel; raises StageError when none can."""
    found = tuple(one for one in load_distributions() if one.has_kernel(release))
    if not found:
        known = ", ".join(distribution.name for distribution in load_distributions())
        raise StageError(
            "resolve", release.text, f"no distribution known here ({known}) has kernels named like that"
        )
    return found


def read_host_name(path: Path = Path("/etc/os-release")) -> str:
    """What this host runs, as `Distribution.name` is written; "unknown" when it does not say."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return f"{fields.get('ID', 'unknown')} {fields.get('VERSION_ID', '')}".replace('"', "").strip()
