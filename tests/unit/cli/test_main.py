# SPDX-License-Identifier: Apache-2.0
"""The program as a process: what it prints where, and what it exits with. Help texts: tests/contract."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = 'version: 1\nports: [{name: a, device: "memory:a"}, {name: b, device: "memory:b"}]\n'


def call(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "appliance.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    return path


def test_check_good(config: Path) -> None:
    done = call("check", str(config))
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok: 1 worker, 2 ports, 0 routes\n", "")


def test_check_refused(config: Path) -> None:
    config.write_text(GOOD + "routes: []\nsurprise: 1\nversion: 1\n")
    done = call("check", str(config))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"appliance: {config}:5: version: given twice, first in line 1; keep one\n"


def test_usage() -> None:
    for arguments in (
        ["frobnicate"],
        ["status", "--jsn"],
        ["check", "/nowhere/c.yaml"],
        ["status", "--json", "--watch"],
    ):
        done = call(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert done.stderr


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_no_daemon(command: str, config: Path, tmp_path: Path) -> None:
    done = call(command, str(config), "--runtime-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"appliance: no daemon answers at {tmp_path}/control.sock (the socket does not exist); "
        "start one: `systemctl start appliance`, or `appliance run`\n"
    )


def test_nothing_to_capture(tmp_path: Path) -> None:
    folders = ["--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path)]
    done = call("capture", "-o", str(tmp_path / "c.pcap"), *folders)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"appliance: {tmp_path}: nothing was ever applied; there is nothing to capture\n"
    assert not (tmp_path / "c.pcap").exists()


def test_directories_from_the_environment(tmp_path: Path) -> None:
    done = call("status", environment={"APPLIANCE_RUNTIME_DIR": str(tmp_path / "here")})
    assert done.returncode == 4
    assert f"{tmp_path}/here/control.sock" in done.stdout.replace("\n", "")


def test_a_path_too_long_for_a_socket(config: Path, tmp_path: Path) -> None:
    done = call("run", "--config", str(config), "--runtime-dir", str(tmp_path / ("x" * 120)))
    assert done.returncode == 2
    assert "are too long for a unix socket, at most 107; choose a shorter --runtime-dir" in done.stderr


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "appliance.cli.main",
                "status",
                "--json",
                "--runtime-dir",
                str(tmp_path),
            ],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert "Traceback" not in done.stderr


def test_interrupted(config: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "appliance.cli.main",
            "status",
            "--watch",
            "--runtime-dir",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
