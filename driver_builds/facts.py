# SPDX-License-Identifier: Apache-2.0
"""What is known of a host that drivers are built for: its kernels and NICs, read here or from collected facts."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from driver_builds.check.next_boot import read_next_kernel
from driver_builds.errors import ConfigError, DriverBuildError

_ETHERNET = "0x0200"  # PCI class code: network controller, Ethernet


class Nic(BaseModel):
    """One NIC: `id` is vendor:device, "" where only the driver it has now is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    id: str = ""
    driver: str | None = None


class HostFacts(BaseModel):
    """One host: the kernels it has or boots next, and its NICs. As JSON it is what --facts reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    kernels: list[str]
    nics: list[Nic]


def read_host_facts(root: Path = Path("/")) -> HostFacts:
    """The facts of the host below `root`; the running kernel counts only where that is this host."""
    kernels = {path.name for path in root.glob("lib/modules/*") if (path / "modules.builtin").is_file()}
    if root == Path("/"):
        kernels.add(os.uname().release)
    # A host without a boot loader, such as a container, boots nothing next.
    with contextlib.suppress(DriverBuildError):
        kernels.add(read_next_kernel(root).release)
    name = os.uname().nodename if root == Path("/") else str(root)
    return HostFacts(host=name, kernels=sorted(kernels), nics=list(_read_nics(root)))


def _read_nics(root: Path) -> Iterator[Nic]:
    for device in sorted(root.glob("sys/bus/pci/devices/*")):
        if not (device / "class").read_text("ascii").startswith(_ETHERNET):
            continue
        vendor, number = ((device / part).read_text("ascii").strip()[2:] for part in ("vendor", "device"))
        driver = device / "driver"
        bound = driver.resolve().name if driver.exists() else None
        yield Nic(address=device.name, id=f"{vendor}:{number}".lower(), driver=bound)


def load_facts(path: Path) -> list[HostFacts]:
    """The hosts of a JSON file, or of every file of a folder (as `ansible -m setup --tree DIR` writes it)."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return [host for file in files for host in _load_file(file)]


def _load_file(path: Path) -> list[HostFacts]:
    try:
        document = json.loads(path.read_text("utf-8"))
        return parse_facts(document, path.stem)
    except (OSError, ValueError, ValidationError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ConfigError(
            f"{path}: not facts of a host: {first}; give what `ansible -m setup --tree DIR` or "
            "`driver-builds targets --host --json` writes"
        ) from error


def parse_facts(document: Any, name: str) -> list[HostFacts]:
    """The hosts of a document: ours (one, a list, or under "facts") or Ansible's (one, or by host name).

    Raises ValueError. `name` is the host's where the document does not say it.
    """
    if isinstance(document, list):
        return [host for part in document for host in parse_facts(part, name)]
    if not isinstance(document, Mapping):
        raise ValueError("an object is wanted")
    if "facts" in document:
        return parse_facts(document["facts"], name)
    if "kernels" in document:
        return [HostFacts.model_validate(document)]
    facts = document.get("ansible_facts", document)
    if isinstance(facts, Mapping) and _get_kernel(facts):
        return [_parse_ansible(facts, name)]
    inner = {key: value for key, value in document.items() if isinstance(value, Mapping)}
    if not inner:
        raise ValueError("no kernel is in it")
    return [host for key, value in inner.items() for host in parse_facts(value, key)]


def _get_kernel(facts: Mapping[str, Any]) -> str | None:
    kernel = facts.get("ansible_kernel", facts.get("kernel"))
    return kernel if isinstance(kernel, str) else None


def _parse_ansible(facts: Mapping[str, Any], name: str) -> HostFacts:
    """Ansible says the running kernel, and of each interface the driver and where it is on the bus."""
    plain = {key.removeprefix("ansible_"): value for key, value in facts.items()}
    interfaces = plain.get("interfaces")
    nics = [
        Nic(address=str(fact.get("pciid") or interface), driver=fact["module"])
        for interface in (interfaces if isinstance(interfaces, list) else [])
        if isinstance(fact := plain.get(re.sub(r"[-:.]", "_", str(interface))), Mapping)
        and isinstance(fact.get("module"), str)
    ]
    host = plain.get("fqdn") or plain.get("hostname") or name
    return HostFacts(host=str(host), kernels=[str(plain["kernel"])], nics=nics)
