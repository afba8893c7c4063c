# SPDX-License-Identifier: Apache-2.0
"""What the playbook is told: the appliance's configuration for the lab's media, and the inventory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.host_stack import CLASSES
from lab.media import Flow
from lab.nics import MEDIA_NICS, Ports
from lab.ssh import HOST, Access

_WORKER = "main"
# ansible's recap, for example "guest : ok=31 changed=0 unreachable=0 failed=0 skipped=4 rescued=0 ignored=0".
_RECAP = re.compile(r"^(?P<host>\S+)\s*:\s+(?P<counts>ok=\d+.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Site:
    """Where the things are that the playbook takes to the guest."""

    wheelhouse: Path
    packages: Path
    artifacts: Path
    driver_builds: Path


def plan_configuration(ports: Ports, interfaces: Mapping[str, str], flows: Sequence[Flow]) -> dict[str, Any]:
    """`/etc/appliance/config.yaml` for the lab: two ports, and for every flow a route in each direction.

    `interfaces` is interface name by MAC address, read from the guest.
    """
    devices = []
    for nic in MEDIA_NICS[ports]:
        if nic.mac not in interfaces:
            raise LabError(f"the guest has no interface with {nic.mac}: seen {sorted(interfaces.values())}")
        port: dict[str, Any] = {
            "name": nic.port,
            "device": f"{ports}:{interfaces[nic.mac]}",
            "worker": _WORKER,
            "host_stack": list(CLASSES),
        }
        if ports is Ports.XDP:
            port["xdp"] = {"mode": "native", "copy": "copy"}
            port["ring_slots"] = 4096
        devices.append(port)
    names = [nic.port for nic in MEDIA_NICS[ports]]
    routes = [
        {
            "name": f"{source}-{flow.group}-{flow.udp_port}",
            "match": {"port": source, "group": flow.group, "udp_port": flow.udp_port},
            "outputs": [target],
        }
        for source, target in (names, names[::-1])
        for flow in flows
    ]
    worker = {"name": _WORKER, "cpu": 1, "wait": "adaptive"}
    return {"version": 1, "workers": [worker], "ports": devices, "routes": routes}


def plan_inventory(
    access: Access, site: Site, ports: Ports, configuration: Mapping[str, Any]
) -> dict[str, Any]:
    """The inventory: one host in the group `appliances`, with the variables of the roles' argument specs."""
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_port": access.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(access.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={access.known_hosts} -o StrictHostKeyChecking=yes",
        "ansible_ssh_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "appliance_wheelhouse": str(site.wheelhouse),
        "appliance_packages_dir": str(site.packages),
        "appliance_config": dict(configuration),
        "netmap_drivers_enabled": ports is Ports.NETMAP,
        "netmap_drivers_names": [nic.driver for nic in MEDIA_NICS[Ports.NETMAP]],
        "netmap_drivers_artifacts_dir": str(site.artifacts),
        "netmap_drivers_command": str(site.driver_builds),
    }
    return {"all": {"children": {"appliances": {"hosts": {HOST: host}}}}}


def render_inventory(inventory: Mapping[str, Any]) -> str:
    """YAML for `ansible-playbook -i`."""
    return str(yaml.safe_dump(dict(inventory), sort_keys=False))


def parse_recap(text: str) -> dict[str, int]:
    """Counts of the guest's line in ansible-playbook's recap: ok, changed, unreachable, failed, …

    LabError where there is none, so that a play that matched no host is never taken for an unchanged one.
    """
    for match in _RECAP.finditer(text):
        if match["host"] == HOST:
            return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", match["counts"])}
    raise LabError(
        f"ansible-playbook printed no recap for the host {HOST}; did it match the group appliances?"
    )
