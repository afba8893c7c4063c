# SPDX-License-Identifier: Apache-2.0
"""PCI device -> driver -> method: what a host's NICs need, from `data/pci.toml`, which a kernel image was read for."""

import lzma
import re
import tarfile
import tomllib
from collections.abc import Iterable
from functools import cache as remember
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from driver_builds import process
from driver_builds.catalogue import load_drivers
from driver_builds.distributions import KernelPackages, apt
from driver_builds.errors import ConfigError, StageError
from driver_builds.modinfo import parse_modinfo, parse_sections

_FILE = "pci.toml"

# Every driver of data/drivers.toml is built from the kernel's own source package.
METHOD = "in-tree"

# VIRTIO 1.2, 4.1.2 and 4.1.2.1: a network card's device is 0x1040 + 1, a transitional one 0x1000. The driver itself
# knows the virtio bus only.
_VIRTIO = {"virtio_net": ["1af4:1000", "1af4:1041"]}
# NICs often met that netmap has no driver for here; `targets` says so by their name.
NOT_BUILT = (
    "r8169",
    "dwmac_intel",
    "stmmac_pci",
    "mlx5_core",
    "mlx4_en",
    "bnxt_en",
    "tg3",
    "ena",
    "hv_netvsc",
)

_ALIAS = re.compile(r"pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})sv.*")

PciId = Annotated[str, Field(pattern="^[0-9a-f]{4}:[0-9a-f]{4}$")]


class PciTable(BaseModel):
    """`data/pci.toml`: which driver a device (vendor:device, lower case) has in the kernel of `origin`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: str
    origin_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    drivers: dict[str, list[PciId]]

    def find_driver(self, identifier: str) -> str | None:
        """The driver of a device, or None when none of the table's has it."""
        return next((name for name, ids in self.drivers.items() if identifier in ids), None)


@remember
def load_pci_table() -> PciTable:
    """The table of the data file."""
    text = (files("driver_builds") / "data" / _FILE).read_text("utf-8")
    try:
        return PciTable.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(f"driver_builds/data/{_FILE}: {error}") from error


def read_pci_table(packages: KernelPackages, cache: Path) -> PciTable:
    """The table as the modules in a kernel's own packages have it."""
    wanted = [*load_drivers(), *NOT_BUILT]
    # The largest of a kernel's packages is the one with its modules.
    package = max(packages.images, key=lambda one: one.size_bytes)
    aliases = read_module_aliases(apt.fetch_package(package, cache), wanted)
    missing = sorted(set(load_drivers()) - set(aliases))
    if missing:
        raise StageError("refresh", package.name, f"it has no module {', '.join(missing)}")
    drivers = {name: _VIRTIO.get(name) or parse_pci_aliases(aliases.get(name, ())) for name in wanted}
    return PciTable(origin=f"{package.name} {package.version}", origin_sha256=package.sha256, drivers=drivers)


def read_module_aliases(package: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """For each module of `names` in a .deb the device names it is loaded for."""
    wanted = {f"{name}.ko" for name in names} | {f"{name.replace('_', '-')}.ko" for name in names}
    found: dict[str, list[str]] = {}
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        process.stream_output(command, environment=process.build_environment()) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for entry in tar:
            name = Path(entry.name).name.removesuffix(".xz")
            if name in wanted and (file := tar.extractfile(entry)) is not None:
                data = lzma.decompress(file.read()) if entry.name.endswith(".xz") else file.read()
                fields = parse_modinfo(parse_sections(data)[".modinfo"])
                found[name.removesuffix(".ko").replace("-", "_")] = fields.get("alias", [])
    return found


def parse_pci_aliases(aliases: Iterable[str]) -> list[str]:
    """vendor:device of the aliases that name one PCI device, sorted."""
    found = {f"{match[1]}:{match[2]}".lower() for alias in aliases if (match := _ALIAS.fullmatch(alias))}
    return sorted(found)


def render_pci_table(table: PciTable) -> str:
    """The text of `data/pci.toml`."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Which driver a PCI device has, vendor:device. Written by `driver-builds refresh --pci`, not by hand: read",
        "# from the modules of a kernel of Debian, virtio's from its standard (VIRTIO 1.2, 4.1.2). Drivers that",
        "# data/drivers.toml lacks are not built here; `driver-builds targets` can then say so of a NIC by name.",
        "",
        f'origin = "{table.origin}"',
        f'origin_sha256 = "{table.origin_sha256}"',
        "",
        "[drivers]",
    ]
    for name, ids in table.drivers.items():
        lines += [f"{name} = [", *_wrap(ids), "]"]
    return "\n".join(lines) + "\n"


def _wrap(ids: list[str]) -> Iterable[str]:
    for start in range(0, len(ids), 8):
        yield "    " + " ".join(f'"{identifier}",' for identifier in ids[start : start + 8])
