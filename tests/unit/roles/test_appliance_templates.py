# SPDX-License-Identifier: Apache-2.0
"""What the role appliance writes on a host, and what it decides from a look at the host."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import evaluate

GOLDEN = Path(__file__).parent / "golden"

CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "workers": [{"name": "main", "cpu": 1, "wait": "busy"}],
    "ports": [
        {"name": "red-in", "device": "netmap:ens4^", "emulated": "refuse"},
        {"name": "on", "device": "netmap:pipe{1"},
        {
            "name": "red-out",
            "device": "xdp:ens5",
            "xdp": {"mode": "native", "copy": "copy"},
            "ring_slots": 4096,
        },
    ],
    "routes": [
        {
            "name": "camera-1",
            "match": {"port": "red-in", "vlan": 100, "group": "239.1.2.1", "udp_port": 6000},
            "outputs": ["red-out"],
        },
        {
            "name": "6",
            "match": {"port": "on", "group": "ff3e::1", "udp_port": 5004},
            "outputs": ["red-in", "red-out"],
        },
        {
            "name": "nat",
            "match": {"port": "red-in", "vlan": "any", "group": "239.1.0.0/16", "ssrc": 0x12345678},
            # A number to YAML 1.1 unless it is quoted.
            "outputs": [{"port": "red-out", "group": "239.2.2.2", "source_mac": "10:20:30:40:50:51"}],
        },
        {"name": "noise", "match": {"port": "red-in", "destination": "192.0.2.255"}, "drop": True},
    ],
    "cross_connects": [{"name": "cable", "ports": ["on", "red-out"]}],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    place = tmp_path_factory.mktemp("appliance")
    for folder, names in (
        ("wheels", ("studio_bypass-0.1.0-cp311-cp311-linux_x86_64.whl", "rich-13.9.4-py3-none-any.whl")),
        ("with-pip", ("studio_bypass-0.1.0-cp311-cp311-linux_x86_64.whl", "pip-24.3.1-py3-none-any.whl")),
        ("debs", ("iproute2_6.1.0-3_amd64.deb", "ethtool_1%3a6.1-1_amd64.deb")),
    ):
        (place / folder).mkdir()
        for name in names:
            (place / folder / name).write_text(name)
    look = {"packages": {"iproute2": "5.10.0-4", "python3": "3.11.2-1+b1"}, "release": "0123456789abcdef"}
    common = {
        "appliance_config": CONFIGURATION,
        "appliance_packages": ["python3", "iproute2", "ethtool", "kmod"],
        "appliance_look": {"stdout": json.dumps(look)},
        "appliance_wheel_sums": {"stdout": "sums"},
    }
    hosts = {
        "offline": {
            **common,
            "appliance_packages_dir": f"{place}/debs",
            "appliance_wheelhouse": f"{place}/wheels",
        },
        "online": {**common, "appliance_packages_dir": "", "appliance_wheelhouse": f"{place}/with-pip"},
    }
    names = (
        "appliance_packages_needed",
        "appliance_packages_lacking",
        "appliance_debs_missing",
        "appliance_release_dir",
    )
    templates = ("appliance.service.j2", "config.yaml.j2")
    return evaluate(place, "appliance", hosts, templates, {name: name for name in names})


def test_service(results: dict[str, dict[str, Any]]) -> None:
    assert results["offline"]["appliance.service.j2"] == (GOLDEN / "appliance.service.txt").read_text()


def test_config(results: dict[str, dict[str, Any]]) -> None:
    assert results["offline"]["config.yaml.j2"] == (GOLDEN / "config.yaml.txt").read_text()


def test_config_keeps_values_and_their_types(results: dict[str, dict[str, Any]]) -> None:
    assert yaml.safe_load(results["offline"]["config.yaml.j2"]) == CONFIGURATION


def test_pip_is_a_debian_package_only_where_the_wheelhouse_has_none(
    results: dict[str, dict[str, Any]],
) -> None:
    assert "python3-venv" in results["offline"]["appliance_packages_needed"]
    assert "python3-venv" not in results["online"]["appliance_packages_needed"]


def test_packages_neither_installed_nor_brought_are_named(results: dict[str, dict[str, Any]]) -> None:
    assert results["offline"]["appliance_packages_lacking"] == ["kmod", "python3-venv"]


def test_only_absent_packages_are_brought(results: dict[str, dict[str, Any]]) -> None:
    missing = results["offline"]["appliance_debs_missing"]
    assert [Path(path).name for path in missing] == ["ethtool_1%3a6.1-1_amd64.deb"]
    assert results["online"]["appliance_debs_missing"] == []


def test_a_release_is_named_by_its_wheels(results: dict[str, dict[str, Any]]) -> None:
    name = hashlib.sha256(b"sums").hexdigest()[:16]
    assert results["online"]["appliance_release_dir"] == f"/opt/appliance/releases/{name}"
