# SPDX-License-Identifier: Apache-2.0
"""The package's data files as values: the netmap pin and the drivers that can be built."""

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from driver_builds.errors import ConfigError, UsageError

# All that netmap can be built with, by its own names; what is not asked for is switched off by name.
SUBSYSTEMS = ("vale", "pipe", "monitor", "generic", "ptnetmap", "sink", "extmem", "null")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NetmapPin(_Strict):
    """The one netmap tree that is built: commit and its time, the hash of its files (`tree_hash.hash_tree`)."""

    url: str
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    tree_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    committed_s: int = Field(default=0, ge=0)
    subsystems: list[str]


class Driver(_Strict):
    """One driver that can be built; `data/drivers.toml` says what the fields mean."""

    name: str = Field(pattern="^[a-z0-9_]+$")
    source: str = Field(pattern="^drivers/[a-z0-9_/]+(\\.c)?$")
    family: str = Field(pattern="^[a-z0-9_]+(\\.c)?$")
    config: str = Field(pattern="^CONFIG_[A-Z0-9_]+$")
    kinds: list[Literal["hardware", "qemu", "vmware"]]
    method: Literal["in-tree", "vendor", "none"] = "in-tree"
    why: str
    adapted_first: str | None = None
    needs: list[str] = []

    @property
    def folder(self) -> str:
        """The folder of its sources; netmap's patches name files below that folder's parent, or in it."""
        return str(PurePosixPath(self.source).parent) if self.is_single_file else self.source

    @property
    def patch_root(self) -> str:
        """The folder netmap's patches are applied in."""
        return str(PurePosixPath(self.source).parent)

    @property
    def is_single_file(self) -> bool:
        return self.source.endswith(".c")


class Correction(_Strict):
    """Tokens replaced in one line of netmap's; `data/corrections.toml` says what the fields mean."""

    name: str = Field(pattern="^[a-z0-9-]+$")
    driver: str = Field(pattern="^[a-z0-9_]+$")
    file: str = Field(
        pattern="^((LINUX|sys/dev/netmap)/[a-z0-9_]+\\.[ch]|LINUX/final-patches/vanilla--[a-z0-9_.-]+)$"
    )
    file_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    line: int = Field(ge=1)
    tokens: dict[str, str] = Field(min_length=1)
    why: str

    @model_validator(mode="after")
    def _reaches_only_its_own(self) -> Self:
        # Drivers are not built anew for it (plan.build_key): it must not be in what they include.
        if self.driver == "netmap" and not self.file.endswith(".c"):
            raise ValueError(
                f"{self.file}: drivers read it too; netmap.ko's corrections are for its own .c files"
            )
        return self

    @property
    def patch(self) -> str | None:
        """The patch it is for, when it is for one: used only where that patch is."""
        path = PurePosixPath(self.file)
        return path.name if path.parent.name == "final-patches" else None


class _DriverFile(_Strict):
    driver: list[Driver]
    refused: list[Driver]


class _CorrectionFile(_Strict):
    correction: list[Correction]


def _load_toml(name: str) -> dict[str, Any]:
    text = (files("driver_builds") / "data" / name).read_text("utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"driver_builds/data/{name}: {error}") from error


@cache
def load_netmap_pin() -> NetmapPin:
    """The pin of `data/netmap.toml`."""
    try:
        return NetmapPin.model_validate(_load_toml("netmap.toml"))
    except ValidationError as error:
        raise ConfigError(f"driver_builds/data/netmap.toml: {error}") from error


@cache
def _load_driver_file() -> _DriverFile:
    try:
        return _DriverFile.model_validate(_load_toml("drivers.toml"))
    except ValidationError as error:
        raise ConfigError(f"driver_builds/data/drivers.toml: {error}") from error


@cache
def load_drivers() -> dict[str, Driver]:
    """The drivers of `data/drivers.toml` that are built, by name, in the file's order."""
    return {driver.name: driver for driver in _load_driver_file().driver}


@cache
def load_refused_drivers() -> dict[str, Driver]:
    """The drivers netmap has patches for that cannot be built from a kernel's own source; `why` says why."""
    return {driver.name: driver for driver in _load_driver_file().refused}


@cache
def load_corrections() -> tuple[Correction, ...]:
    """The corrections of `data/corrections.toml`, in the file's order."""
    try:
        return tuple(_CorrectionFile.model_validate(_load_toml("corrections.toml")).correction)
    except ValidationError as error:
        raise ConfigError(f"driver_builds/data/corrections.toml: {error}") from error


def group_methods(drivers: Iterable[Driver]) -> list[tuple[str, str, list[str]]]:
    """(method, reason, drivers) for people: those that share a reason together, in the order given."""
    groups: dict[tuple[str, str], list[str]] = {}
    for driver in drivers:
        groups.setdefault((driver.method, driver.why), []).append(driver.name)
    return [(method, why, names) for (method, why), names in groups.items()]


def select_subsystems(added: Sequence[str], left_out: Sequence[str]) -> tuple[str, ...]:
    """The subsystems of netmap.ko: those of the pin, and what was asked for; raises UsageError on unknown ones."""
    for name in (*added, *left_out):
        if name not in SUBSYSTEMS:
            raise UsageError(f"subsystem {name}: not known here; netmap has {', '.join(SUBSYSTEMS)}")
    both = set(added) & set(left_out)
    if both:
        raise UsageError(f"subsystem {min(both)}: give --with or --without, not both")
    usual = load_netmap_pin().subsystems
    wanted = (set(usual) | set(added)) - set(left_out)
    # The pin's own order first, so that asking for what is the default anyway changes no key.
    return tuple(name for name in dict.fromkeys((*usual, *SUBSYSTEMS)) if name in wanted)


def select_drivers(names: Sequence[str]) -> tuple[Driver, ...]:
    """The drivers `names` asks for, each once, in the catalogue's order; raises UsageError on unknown ones."""
    known = load_drivers() | load_refused_drivers()
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise UsageError(f"driver {unknown[0]}: not known here; known drivers are {', '.join(known)}")
    if not names:
        raise UsageError(f"no driver was asked for; add --driver NAME with one of {', '.join(known)}")
    return tuple(driver for name, driver in known.items() if name in names)
