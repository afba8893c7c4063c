# SPDX-License-Identifier: Apache-2.0
"""The *vendor* method: a driver built from its maker's release, which the operator names in a file of his own.

    [[release]]
    driver = "NAME"                # what --driver takes
    vendor = "MAKER"               # netmap's patch is then MAKER--NAME--VERSION, exactly that one
    version = "1.2.3"
    url = "https://..."            # where the maker publishes it
    sha256 = "..."                 # of the archive, as published; and/or
    tree_sha256 = "..."            # driver_builds.tree_hash.hash_tree of its files
    tag = "v1.2.3"                 # what a git directory is asked for
    folder = "src"                 # where its Makefile is; patch_folder: where the patch is applied ("" is the top)
    prepare = [["sh", "gen.sh"]]   # run in folder before it is compiled; {kernel} is the kernel's build folder
    make = ["CONFIG_X=m"]          # more make variables
    why = "..."

No release is named by this package: which one runs in a fleet is its operator's choice, and so is its pin.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from driver_builds.catalogue import Driver, load_drivers, load_refused_drivers
from driver_builds.errors import ConfigError, StageError, UsageError

VARIABLE = "DRIVER_BUILDS_VENDOR_RELEASES"
METHODS = ("in-tree", "vendor")

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Relative, and never upwards.
_Folder = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9_+-][A-Za-z0-9_.+-]*(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*)?$")
]


class VendorRelease(BaseModel):
    """One release of one driver; this module's head says what the fields mean."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    driver: str = Field(pattern="^[a-z0-9_]+$")
    vendor: str = Field(pattern="^[a-z0-9]+$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9._+-]*$")
    url: str = Field(pattern="^(https|file)://[^@]+$")
    sha256: _Sha256 | None = None
    tree_sha256: _Sha256 | None = None
    tag: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$")
    folder: _Folder = ""
    patch_folder: _Folder = ""
    prepare: list[Annotated[list[str], Field(min_length=1)]] = []
    make: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+=\S*$")]] = []
    why: str = Field(min_length=1)

    @property
    def patch(self) -> str:
        """The one patch of netmap's it takes."""
        return f"{self.vendor}--{self.driver}--{self.version}"

    def describe(self) -> str:
        """For messages: maker, version, where from, and what it must be."""
        pins = [
            f"SHA-256 {self.sha256}" if self.sha256 else "",
            f"tree {self.tree_sha256}" if self.tree_sha256 else "",
        ]
        return f"{self.vendor} {self.version} ({self.url}, {' and '.join(filter(None, pins)) or 'no pin'})"


@dataclass(frozen=True, slots=True)
class VendorTree:
    """A release's files at `path` in the cache; `archive_sha256` is None when they came from a folder or git."""

    path: Path
    release: VendorRelease
    tree_sha256: str
    archive_sha256: str | None
    pinned: bool


@dataclass(frozen=True, slots=True)
class VendorChoice:
    """What the command line asks for: methods and sources by driver, the file with the releases."""

    methods: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    releases: Path | None = None
    accept: bool = False

    @property
    def drivers(self) -> tuple[str, ...]:
        """The drivers to be built from their vendor's release."""
        return tuple(name for name, method in self.methods.items() if method == "vendor")


class _ReleaseFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    release: list[VendorRelease]


def parse_vendor_choice(
    methods: Sequence[str], sources: Sequence[str], releases: Path | None, accept: bool
) -> VendorChoice:
    """NAME=METHOD and NAME=SOURCE of the command line; raises UsageError on what makes no sense."""
    chosen, given = _parse_pairs("--method", methods), _parse_pairs("--vendor-source", sources)
    for name, method in chosen.items():
        if name not in load_drivers() | load_refused_drivers():
            raise UsageError(f"--method {name}={method}: driver {name} is not known here")
        if method not in METHODS:
            raise UsageError(f"--method {name}={method}: a method is {' or '.join(METHODS)}")
    for name in given:
        # DRIVER_BUILDS_VENDOR_SOURCES may name more than this build asks for; a driver nobody knows is a mistake.
        if name not in load_drivers() | load_refused_drivers():
            raise UsageError(f"--vendor-source {name}=…: driver {name} is not known here")
    return VendorChoice(chosen, given, releases, accept)


def _parse_pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name and separator and value):
            raise UsageError(f"{option} {text}: give it as NAME=VALUE")
        if pairs.get(name, value) != value:
            raise UsageError(f"{option} {name}: given twice, {pairs[name]} and {value}")
        pairs[name] = value
    return pairs


def load_vendor_releases(path: Path) -> dict[str, VendorRelease]:
    """The releases of the operator's file by driver; raises ConfigError when it is not one."""
    try:
        found = _ReleaseFile.model_validate(tomllib.loads(path.read_text("utf-8"))).release
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigError(f"vendor releases {path}: {error}") from error
    releases = {release.driver: release for release in found}
    if len(releases) != len(found):
        raise ConfigError(f"vendor releases {path}: a driver is there twice; name one release of each")
    return releases


def select_release(driver: str, choice: VendorChoice, patch_names: Iterable[str]) -> VendorRelease:
    """The release `driver` is built from; raises UsageError that says what to give when there is none."""
    if choice.releases is not None:
        release = load_vendor_releases(choice.releases).get(driver)
        if release is not None:
            return release
    seen = (
        f"{choice.releases} has none"
        if choice.releases
        else f"neither --vendor-releases nor {VARIABLE} is set"
    )
    raise UsageError(
        f"driver {driver}: no vendor release is named: {seen}; name one of those netmap has patches for: "
        f"{', '.join(find_vendor_patches(patch_names, driver)) or 'none'}"
    )


def find_vendor_patches(patch_names: Iterable[str], driver: str) -> list[str]:
    """netmap's patches for makers' releases of one driver."""
    return sorted(
        name for name in patch_names if name.split("--")[1:2] == [driver] and not name.startswith("vanilla--")
    )


def select_vendor_patch(patch_names: Iterable[str], release: VendorRelease) -> str:
    """The patch cut for this very release; raises StageError when netmap has none. There is no nearest one."""
    names = list(patch_names)
    if release.patch in names:
        return release.patch
    others = ", ".join(find_vendor_patches(names, release.driver)) or "none"
    raise StageError(
        "patch", release.driver, f"netmap has no patch {release.patch} for this release; it has {others}"
    )


def apply_choice(
    drivers: Iterable[Driver], choice: VendorChoice, trees: Iterable[VendorTree]
) -> tuple[Driver, ...]:
    """The drivers with the method that was chosen for them, and the reason."""
    reasons = {tree.release.driver: tree.release.why for tree in trees}
    return tuple(
        driver.model_copy(update={"method": "vendor", "why": reasons[driver.name]})
        if choice.methods.get(driver.name) == "vendor"
        else driver
        for driver in drivers
    )
