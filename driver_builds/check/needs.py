# SPDX-License-Identifier: Apache-2.0
"""The drivers a host wants from netmap: what it is configured for, or else what its NICs are."""

import fnmatch
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from driver_builds.plan import NETMAP

MODULES_LOAD = "etc/modules-load.d/netmap-drivers.conf"
APPLIANCE = "etc/appliance/config.yaml"
_INTERFACE = re.compile(r"netmap:([^{}^*@/:]+?)(?:-[0-9]+)?[\^*]?")


@dataclass(frozen=True, slots=True)
class Needs:
    """Driver modules by name, without netmap itself, and in words where that is from."""

    drivers: tuple[str, ...]
    decided_by: str


def read_needs(root: Path, release: str, known: Collection[str]) -> Needs:
    """What the host below `root` needs with kernel `release`; `known` are the drivers that can be built."""
    names, sources = set[str](), []
    for path, read in ((MODULES_LOAD, read_modules_load), (APPLIANCE, read_appliance_drivers)):
        if (root / path).is_file():
            names |= set(read(root))
            sources.append(f"/{path}")
    if sources:
        return Needs(tuple(sorted(names)), " and ".join(sources))
    found = set(read_nic_drivers(root, release)) & set(known)
    return Needs(tuple(sorted(found)), "its NICs, as nothing on this host says what it wants of netmap")


def read_modules_load(root: Path) -> list[str]:
    """The modules that are loaded at boot for netmap (modules-load.d(5))."""
    lines = (root / MODULES_LOAD).read_text("utf-8", "replace").splitlines()
    names = [line.strip() for line in lines if line.strip() and line.strip()[0] not in "#;"]
    return [name for name in names if name != NETMAP]


def read_appliance_drivers(root: Path) -> Iterator[str]:
    """The drivers of the interfaces the appliance opens as netmap ports; those that are there now."""
    try:
        document = yaml.safe_load((root / APPLIANCE).read_text("utf-8", "replace"))
    except yaml.YAMLError:
        return
    ports = document.get("ports") if isinstance(document, dict) else None
    for port in ports if isinstance(ports, list) else []:
        device = port.get("device") if isinstance(port, dict) else None
        match = _INTERFACE.fullmatch(device) if isinstance(device, str) else None
        link = root / "sys/class/net" / match[1] / "device/driver/module" if match else None
        # An emulated port is asked for by name and needs no driver of ours.
        if link is not None and link.exists() and port.get("emulated") != "allow":
            yield link.resolve().name


def read_nic_drivers(root: Path, release: str) -> Iterator[str]:
    """The modules the kernel `release` takes for the devices of this host, by its own modules.alias."""
    aliases = root / "lib/modules" / release / "modules.alias"
    if not aliases.is_file():
        yield from read_bound_drivers(root)
        return
    devices = [path.read_text("utf-8").strip() for path in sorted(root.glob("sys/bus/*/devices/*/modalias"))]
    # A few thousand patterns; only those of the same bus can match.
    patterns = [line.split() for line in aliases.read_text("utf-8").splitlines() if line.startswith("alias ")]
    for device in devices:
        bus = device.split(":", 1)[0]
        for words in patterns:
            if len(words) == 3 and words[1].startswith(f"{bus}:") and fnmatch.fnmatchcase(device, words[1]):
                yield words[2]


def read_bound_drivers(root: Path) -> Iterator[str]:
    """The drivers the host's interfaces have now."""
    for link in root.glob("sys/class/net/*/device/driver/module"):
        yield link.resolve().name
