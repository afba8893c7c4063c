# SPDX-License-Identifier: Apache-2.0
"""The drivers of netmap ports are the patched ones, running from the right file, natively."""

import hashlib
import json
from typing import Any

import pytest
from module_facts import list_interfaces, read_driver, read_manifest, read_module, read_release
from testinfra.host import Host


@pytest.fixture
def drivers(host: Host, configuration: dict[str, Any]) -> list[str]:
    """Modules that drive the netmap ports; a host without such a port has nothing to prove here."""
    interfaces = list_interfaces(configuration, "netmap")
    if not interfaces:
        pytest.skip("no port of this host is a netmap interface: its drivers are the stock ones by intent")
    return sorted({read_driver(host, interface) for interface in interfaces})


def test_modules_come_from_our_folder(host: Host, drivers: list[str]) -> None:
    folder = f"/lib/modules/{read_release(host)}/updates/netmap"
    for name in ("netmap", *drivers):
        path = read_module(host, name).path
        assert path == f"{folder}/{name}.ko", f"modprobe takes {path} for {name}, wanted {folder}/{name}.ko"


def test_files_are_those_of_the_manifest(host: Host, drivers: list[str]) -> None:
    wanted = {module["name"]: module["sha256"] for module in read_manifest(host)["modules"]}
    for name in ("netmap", *drivers):
        seen = hashlib.sha256(read_module(host, name).content).hexdigest()
        assert seen == wanted.get(name), f"{name}.ko has SHA-256 {seen}, the manifest says {wanted.get(name)}"


def test_running_modules_are_those_files(host: Host, drivers: list[str]) -> None:
    for name in ("netmap", *drivers):
        module = read_module(host, name)
        assert len(module.loaded_build_id) == 20, f"module {name} shows no build ID"
        assert module.loaded_build_id in module.content, (
            f"the running {name} (build ID {module.loaded_build_id.hex()}) is not the file {module.path}; "
            "run playbooks/drivers.yml"
        )


def test_drivers_hold_netmap(host: Host, drivers: list[str]) -> None:
    holders = read_module(host, "netmap").holders
    for name in drivers:
        assert name in holders, (
            f"driver {name} does not use netmap; holders are {', '.join(holders) or 'none'}"
        )


def test_modules_are_loaded_at_boot(host: Host, drivers: list[str]) -> None:
    listed = host.file("/etc/modules-load.d/netmap-drivers.conf").content_string.split()
    for name in ("netmap", *drivers):
        assert name in listed, f"{name} is not in /etc/modules-load.d/netmap-drivers.conf"


def test_modules_are_a_package_and_as_it_brought_them(host: Host, drivers: list[str]) -> None:
    package = f"netmap-modules-{read_release(host).lower().replace('_', '-')}"
    for name in ("netmap", *drivers):
        owner = host.run(f"dpkg-query --search {read_module(host, name).path}").stdout.split(":")[0]
        assert owner == package, f"{name}.ko belongs to {owner or 'no package'}, wanted {package}"
    changed = host.run(f"dpkg --verify {package}").stdout
    assert not changed, f"files of {package} were changed:\n{changed}"


def test_the_next_boot_has_them(host: Host, drivers: list[str]) -> None:
    result = host.run("/opt/appliance/venv/bin/driver-builds check --json")
    assert result.rc == 0, result.stdout or result.stderr
    assert set(drivers) <= set(json.loads(result.stdout)["drivers"]["drivers"])


def test_the_next_boot_is_looked_at_daily(host: Host, drivers: list[str]) -> None:
    seen = host.run("systemctl is-active netmap-drivers-check.timer").stdout.strip()
    assert seen == "active", f"netmap-drivers-check.timer is {seen}; run playbooks/drivers.yml"


def test_no_way_back_is_pending(host: Host, drivers: list[str]) -> None:
    seen = host.run("systemctl is-active netmap-driver-way-back.timer").stdout.strip()
    assert seen == "inactive", f"netmap-driver-way-back.timer is {seen}: a swap was not confirmed"


def test_netmap_ports_are_native(
    configuration: dict[str, Any], drivers: list[str], status: dict[str, Any]
) -> None:
    asked = {port["name"]: port for port in configuration["ports"]}
    seen = {
        port["name"]: port["adapter"]
        for port in status["ports"]
        if port["kind"] == "netmap" and asked[port["name"].removesuffix("^")].get("emulated") != "allow"
    }
    assert seen, "the appliance shows no netmap port, the configuration has one; look at appliance status"
    wrong = {name: adapter for name, adapter in seen.items() if adapter not in ("native", "virtual")}
    assert not wrong, f"netmap ports that are not native: {wrong}"
