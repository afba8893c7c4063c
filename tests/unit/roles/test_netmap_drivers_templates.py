# SPDX-License-Identifier: Apache-2.0
"""What the role netmap_drivers writes and decides: one build for each kernel, one transfer for what differs."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
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

PACKAGED = json.dumps(
    {"changed": True, "packages": [{"file": "/a/packages/x.deb", "version": "1", "sha256": "5" * 64}]}
)


def make_host(
    kernel: str, names: list[str], staged: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    plan = {"release": kernel, "staged": staged or {}, "actions": [], "deferred": []}
    return {
        "netmap_drivers_kernel": kernel,
        "netmap_drivers_names": names,
        "netmap_drivers_planned": {"stdout": json.dumps(plan)},
        "netmap_drivers_wanted_text": " ".join(sorted(set(names))),
        "netmap_drivers_package": {"stdout": PACKAGED},
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
        **{
            name: hashlib.sha256((GOLDEN / f"{name}.txt").read_bytes()).hexdigest()
            for name in ("check.service", "check.timer", "apt.conf")
        },
        "netmap-modules.deb": "5" * 64,
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
            netmap_drivers_signing_key="/keys/mok.key",
            netmap_drivers_signing_certificate="/keys/mok.pem",
        ),
        "done": make_host("5.10.0-33-amd64", ["e1000", "e1000e"], staged),
        "changed": make_host(
            "5.10.0-34-amd64", ["e1000", "e1000e"], {**staged, "netmap-modules.deb": "0" * 64}
        ),
    }
    return evaluate(
        place,
        "netmap_drivers",
        {
            name: {
                "netmap_drivers_netmap_source": "",
                "netmap_drivers_artifacts_dir": "/a",
                "netmap_drivers_signing_passphrase": "secret",
            }
            | host
            for name, host in hosts.items()
        },
        ("modules-load.conf.j2", "modprobe.conf.j2", "check.service.j2", "check.timer.j2", "apt.conf.j2"),
        {
            "builds": "inventory_hostname == netmap_drivers_same_kernel[0]",
            "argv": "netmap_drivers_build_argv",
            "missing": "netmap_drivers_missing",
            "stale": "netmap_drivers_stale",
            "options": "netmap_drivers_options",
            "packages": "inventory_hostname == netmap_drivers_same_target[0]",
            "package_argv": "netmap_drivers_package_argv",
            "sign_argv": "netmap_drivers_sign_argv",
            "deb": "netmap_drivers_deb",
        },
    )


def test_modules_load(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["modules-load.conf.j2"] == (GOLDEN / "modules-load.conf.txt").read_text()


def test_modprobe_without_options(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["modprobe.conf.j2"] == (GOLDEN / "modprobe-empty.conf.txt").read_text()


def test_modprobe_with_options(results: dict[str, dict[str, Any]]) -> None:
    assert results["other-kernel"]["modprobe.conf.j2"] == (GOLDEN / "modprobe.conf.txt").read_text()


@pytest.mark.parametrize("name", ["check.service", "check.timer", "apt.conf"])
def test_what_checks_the_next_boot(results: dict[str, dict[str, Any]], name: str) -> None:
    text = results["fresh"][f"{name}.j2"]
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / f"{name}.txt").write_text(text)
    assert text == (GOLDEN / f"{name}.txt").read_text()


def test_apt_understands_its_hook(results: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    if not shutil.which("apt-config"):
        pytest.skip("NOT TESTED: the hook's syntax by apt; this host has none")
    (tmp_path / "apt.conf").write_text(results["fresh"]["apt.conf.j2"])
    done = subprocess.run(
        ["apt-config", "-c", str(tmp_path / "apt.conf"), "dump", "--format=%v%n", "DPkg::Post-Invoke"],
        capture_output=True,
        text=True,
        check=True,
    )
    (command,) = [line for line in done.stdout.splitlines() if "netmap" in line]
    assert command.startswith("if [ -x /opt/appliance/venv/bin/driver-builds ]")
    # A host without the command, and one where it fails: apt goes on.
    for program in ("/nonexistent", shutil.which("false")):
        text = command.replace("/opt/appliance/venv/bin/driver-builds", str(program))
        text = text.replace("/run/netmap-drivers-checked", str(tmp_path / "checked"))
        shown = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
        assert shown.returncode == 0
        assert ("lacks netmap drivers" in shown.stderr) == (program != "/nonexistent")


def test_one_host_of_each_kernel_builds(results: dict[str, dict[str, Any]]) -> None:
    builders = [host for host, result in results.items() if result["builds"]]
    assert builders == ["fresh", "other-kernel", "done", "changed"]


def test_the_builder_makes_what_all_hosts_of_its_kernel_want(results: dict[str, dict[str, Any]]) -> None:
    drivers = "--driver e1000 --driver e1000e --driver igb"
    argv = f"driver-builds build --kernel 6.1.0-56-amd64 {drivers} --artifacts /a --json"
    assert results["fresh"]["argv"] == argv.split()


def test_one_host_of_each_target_packages(results: dict[str, dict[str, Any]]) -> None:
    packagers = [host for host, result in results.items() if result["packages"]]
    assert packagers == ["fresh", "same-kernel", "other-kernel", "done", "changed"]


def test_hosts_of_one_target_share_a_package(results: dict[str, dict[str, Any]]) -> None:
    argv = results["fresh"]["package_argv"]
    folder = argv[argv.index("--output") + 1]
    assert folder.startswith("/a/packages/6.1.0-56-amd64/")
    drivers = "--driver e1000 --driver e1000e"
    wanted = (
        f"driver-builds package --kernel 6.1.0-56-amd64 {drivers} --artifacts /a --output {folder} --json"
    )
    assert argv == wanted.split()
    other = results["same-kernel"]["package_argv"]
    assert other[other.index("--output") + 1] != folder
    assert results["fresh"]["deb"] == "/a/packages/x.deb"


def test_the_key_is_named_and_its_passphrase_is_not(results: dict[str, dict[str, Any]]) -> None:
    argv = [
        "driver-builds",
        "sign",
        "/a/6.12.1-amd64",
        "--key",
        "/keys/mok.key",
        "--certificate",
        "/keys/mok.pem",
    ]
    assert results["other-kernel"]["sign_argv"] == [*argv, "--passphrase-fd", "0"]


def test_a_driver_the_build_lacks_is_missing(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["missing"] == []
    assert results["same-kernel"]["missing"] == ["igb"]


def test_everything_goes_to_a_fresh_host(results: dict[str, dict[str, Any]]) -> None:
    assert sorted(results["fresh"]["stale"]) == sorted(
        [
            "netmap-driver",
            "modules-load.conf",
            "modprobe.conf",
            "check.service",
            "check.timer",
            "apt.conf",
            "netmap-modules.deb",
        ]
    )


def test_nothing_goes_to_a_host_that_has_it(results: dict[str, dict[str, Any]]) -> None:
    assert results["done"]["stale"] == []


def test_one_changed_module_is_seen(results: dict[str, dict[str, Any]]) -> None:
    assert results["changed"]["stale"] == ["netmap-modules.deb"]


def test_refusing_is_what_happens_unless_a_reboot_is_allowed(results: dict[str, dict[str, Any]]) -> None:
    assert results["fresh"]["options"] == ["--on-management", "refuse"]
    assert results["other-kernel"]["options"] == ["--management", "eno1", "--on-management", "reboot"]
