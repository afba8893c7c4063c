# SPDX-License-Identifier: Apache-2.0
"""What the role netmap_drivers writes and decides: one build for each kernel, one transfer for what differs."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from rendering import ROOT, evaluate

GOLDEN = Path(__file__).parent / "golden"
MANIFEST = json.dumps(
    {
        "schema": 1,
        "modules": [
            {"name": name, "file": f"{name}.ko", "sha256": hashlib.sha256(name.encode()).hexdigest()}
            for name in ("netmap", "e1000", "e1000e")
        ],
        "refused": [{"name": "igb", "stage": "patch", "reason": "rejected", "log": "logs/igb.log"}],
    }
)


def make_host(
    kernel: str, names: list[str], staged: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    plan = {"release": kernel, "staged": staged or {}, "actions": [], "deferred": []}
    return {
        "netmap_drivers_kernel": kernel,
        "netmap_drivers_names": names,
        "netmap_drivers_planned": {"stdout": json.dumps(plan)},
        "netmap_drivers_manifest_file": {"content": base64.b64encode(MANIFEST.encode()).decode()},
        **more,
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    place = tmp_path_factory.mktemp("netmap-drivers")
    staged = {
        "netmap-driver": hashlib.sha256(
            (ROOT / "roles/netmap_drivers/files/netmap-driver.sh").read_bytes()
        ).hexdigest(),
        "modules-load.conf": hashlib.sha256((GOLDEN / "modules-load.conf.txt").read_bytes()).hexdigest(),
        "modprobe.conf": hashlib.sha256((GOLDEN / "modprobe-empty.conf.txt").read_bytes()).hexdigest(),
        "manifest.json": hashlib.sha256(MANIFEST.encode()).hexdigest(),
        **{f"{name}.ko": hashlib.sha256(name.encode()).hexdigest() for name in ("netmap", "e1000", "e1000e")},
    }
    hosts = {
        "fresh": make_host("6.1.0-56-amd64", ["e1000", "e1000e"]),
        "same-kernel": make_host("6.1.0-56-amd64", ["e1000", "igb"]),
        "other-kernel": make_host(
            "6.12.1-amd64",
            ["ixgbe"],
            netmap_drivers_module_options={"ring_num": 32, "admode": 1},
            netmap_drivers_management_interface="eno1",
            netmap_drivers_reboot_ok=True,
        ),
        "done": make_host("5.10.0-33-amd64", ["e1000", "e1000e"], staged),
        "changed": make_host("5.10.0-34-amd64", ["e1000", "e1000e"], {**staged, "e1000.ko": "0" * 64}),
    }
    return evaluate(
        place,
        "netmap_drivers",
        {
            name: {"netmap_drivers_netmap_source": "", "netmap_drivers_artifacts_dir": "/a"} | host
            for name, host in hosts.items()
        },
        ("modules-load.conf.j2", "modprobe.conf.j2"),
        {
            "builds": "inventory_hostname == netmap_drivers_same_kernel[0]",
            "argv": "netmap_drivers_build_argv",
            "missing": "netmap_drivers_missing",
            "stale": "netmap_drivers_stale",
            "options": "netmap_drivers_options",
        },
    )


def test_modules_load(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["modules-load.conf.j2"] == (GOLDEN / "modules-load.conf.txt").read_text()


def test_modprobe_without_options(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["modprobe.conf.j2"] == (GOLDEN / "modprobe-empty.conf.txt").read_text()


def test_modprobe_with_options(results: dict[str, dict[str, Any]]) -> None:
    assert results["other-kernel"]["modprobe.conf.j2"] == (GOLDEN / "modprobe.conf.txt").read_text()


def test_one_host_of_each_kernel_builds(results: dict[str, dict[str, Any]]) -> None:
    builders = [host for host, result in results.items() if result["builds"]]
    assert builders == ["fresh", "other-kernel", "done", "changed"]


def test_the_builder_makes_what_all_hosts_of_its_kernel_want(results: dict[str, dict[str, Any]]) -> None:
    drivers = "--driver e1000 --driver e1000e --driver igb"
    argv = f"driver-builds build --kernel 6.1.0-56-amd64 {drivers} --artifacts /a --json"
    assert results["fresh"]["argv"] == argv.split()


def test_a_driver_the_build_lacks_is_missing(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["missing"] == []
    assert results["same-kernel"]["missing"] == ["igb"]


def test_everything_goes_to_a_fresh_host(results: dict[str, dict[str, Any]]) -> None:
    assert sorted(results["fresh"]["stale"]) == sorted(
        [
            "netmap-driver",
            "modules-load.conf",
            "modprobe.conf",
            "manifest.json",
            "netmap.ko",
            "e1000.ko",
            "e1000e.ko",
        ]
    )


def test_nothing_goes_to_a_host_that_has_it(results: dict[str, dict[str, Any]]) -> None:
    assert results["done"]["stale"] == []


def test_one_changed_module_is_seen(results: dict[str, dict[str, Any]]) -> None:
    assert results["changed"]["stale"] == ["e1000.ko"]


def test_refusing_is_what_happens_unless_a_reboot_is_allowed(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["options"] == ["--on-management", "refuse"]
    assert results["other-kernel"]["options"] == ["--management", "eno1", "--on-management", "reboot"]
