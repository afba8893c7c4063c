# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, one clear line for each mistake, JSON that can be read."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from driver_builds.cli.main import app
from driver_builds.doctor import Finding, find_tools, render_apt_line
from driver_builds.errors import ExitCode

from .conftest import NetmapLike, build_module

BUILD = ["build", "--kernel", "6.1.0-56-amd64", "--driver", "e1000"]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test uses the caller's cache, artifacts or netmap."""
    monkeypatch.setenv("DRIVER_BUILDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NETMAP_SOURCE", raising=False)
    monkeypatch.chdir(tmp_path)


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", ["build", "plan"])
def test_without_netmap_source(command: str) -> None:
    done = _run(command, *BUILD[1:])
    assert done.exit_code == ExitCode.FAILED
    assert done.stdout == ""
    assert done.stderr.startswith("driver-builds: netmap source: NETMAP_SOURCE is not set; set it")
    assert done.stderr.count("\n") == 1


def test_errors_as_json() -> None:
    done = _run(*BUILD, "--json")
    assert done.exit_code == ExitCode.FAILED
    error = json.loads(done.stdout)["error"]
    assert error["code"] == ExitCode.FAILED
    assert "NETMAP_SOURCE is not set" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build"], "--kernel"),
        (["build", "--kernel", "6.1.0-56-amd64", "--driver", "rtl8139"], "driver rtl8139: not known here"),
        (["build", "--kernel", "../../etc", "--driver", "e1000"], "not a kernel release of Debian"),
        ([*BUILD, "--cache", "/tmp/a b"], "cache /tmp/a b: the kernel's build system cannot handle"),
        ([*BUILD, "--jobs", "0"], "--jobs"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_usage(arguments: list[str], said: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr


def test_another_netmap_tree_is_unsafe(netmap: NetmapLike) -> None:
    done = _run(*BUILD, "--netmap-source", str(netmap.folder))
    assert done.exit_code == ExitCode.UNSAFE
    assert str(netmap.folder) in done.stderr
    assert "--accept-netmap-tree" in done.stderr


def test_a_kernel_no_distribution_has(netmap: NetmapLike, tmp_path: Path) -> None:
    source = ["--netmap-source", str(netmap.folder), "--accept-netmap-tree"]
    done = _run("build", "--kernel", "9.9.0-1-amd64", "--driver", "e1000", *source)
    assert done.exit_code == ExitCode.FAILED
    assert "resolve 9.9.0-1-amd64: no distribution known here" in done.stderr
    assert "debian 12" in done.stderr
    assert not (tmp_path / "artifacts").exists()


def test_inspect(tmp_path: Path) -> None:
    file = tmp_path / "e1000.ko"
    file.write_bytes(build_module(versions={"module_layout": 1}))
    done = _run("inspect", str(file))
    assert done.exit_code == ExitCode.OK
    assert "kernel:     6.1.0-56-amd64\n" in done.stdout
    assert "netmap:     yes, depends on it\n" in done.stdout
    document = json.loads(_run("inspect", str(file), "--json").stdout)
    assert (document["name"], document["release"], document["netmap"]) == ("e1000", "6.1.0-56-amd64", True)
    assert document["versions"] == {"module_layout": "0x00000001"}


def test_inspect_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "e1000.ko"
    file.write_text("not a module")
    done = _run("inspect", str(file))
    assert done.exit_code == ExitCode.FAILED
    assert done.stderr == f"driver-builds: {file}: not an ELF file\n"


def test_verify_of_nothing(tmp_path: Path) -> None:
    done = _run("verify", str(tmp_path), "--json")
    assert done.exit_code == ExitCode.FAILED
    document = json.loads(done.stdout)
    assert document["ok"] is False
    assert "manifest.json: cannot be read" in document["problems"][0]


def test_doctor_names_what_to_install() -> None:
    findings = find_tools(
        ["gcc-12"], lambda name: None if name in {"gcc-12", "xz", "strip", "ld"} else f"/bin/{name}"
    )
    missing = {finding.name for finding in findings if not finding.ok}
    assert missing == {"gcc-12", "xz", "strip", "ld"}
    assert render_apt_line(findings) == "apt-get install --yes binutils gcc-12 xz-utils"
    assert render_apt_line([Finding("NETMAP_SOURCE", False, "not set")]) is None


def test_doctor_runs() -> None:
    document = json.loads(_run("doctor", "--json").stdout)
    findings = {finding["name"]: finding for finding in document["findings"]}
    assert findings["make"]["ok"]
    assert not findings["NETMAP_SOURCE"]["ok"]
    assert document["ok"] is False


def test_every_command_has_help() -> None:
    for command in ("build", "plan", "inspect", "verify", "doctor"):
        done = _run(command, "--help")
        assert done.exit_code == 0
        assert "--json" in done.stdout
