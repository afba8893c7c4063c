# SPDX-License-Identifier: Apache-2.0
"""Time limits and ends of real processes, and the report's verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lab.errors import LabError
from lab.guest import end_outliving, remove_outliving
from lab.process import Deadline, run_logged, stop_group
from lab.report import Report

CLI = Path(__file__).parent / "lab_cli.py"


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie nobody reaped yet has ended, too.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"


def test_a_failed_program_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"sh failed with status 3:\n(.*\n)*  \| because"):
        run_logged(["sh", "-c", "echo because; exit 3"], tmp_path / "log", Deadline(60))


def test_a_program_that_may_fail_tells_its_status(tmp_path: Path) -> None:
    assert run_logged(["sh", "-c", "exit 3"], tmp_path / "log", Deadline(60), may_fail=True) == 3


def test_a_program_over_its_time_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! >{tmp_path}/child; wait"
    with pytest.raises(LabError, match="sh did not end in time"):
        run_logged(["sh", "-c", script], tmp_path / "log", Deadline(60), limit_s=1)
    assert not exists(int((tmp_path / "child").read_text()))


def test_nothing_starts_after_the_time_limit(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="time limit of 0 s is over"):
        run_logged(["true"], tmp_path / "log", Deadline(0))


def test_a_process_that_ignores_the_request_is_made_to_end() -> None:
    command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    stop_group(process, grace_s=0.2)
    assert process.returncode == -9
    process.stdout.close()


def test_down_never_ends_a_process_that_only_has_the_pid(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        (tmp_path / "qemu.pid").write_text(f"{other.pid}\n")
        assert not end_outliving(tmp_path)
        assert other.poll() is None
        other.kill()


def test_down_without_a_guest_is_no_error(tmp_path: Path) -> None:
    assert not end_outliving(tmp_path)


def test_a_folder_that_is_not_the_labs_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LabError, match="holds no guest of the lab"):
        remove_outliving(tmp_path)
    assert (tmp_path / "thesis.txt").is_file()


def run_cli(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    env = {
        name: value for name, value in os.environ.items() if name not in {"NETMAP_SOURCE", "PORTS"}
    } | extra
    command = [sys.executable, "-P", str(CLI), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [("run",), ("run", "--ports", "netmap")])
def test_without_netmaps_source_one_line_says_what_to_set(arguments: tuple[str, ...]) -> None:
    result = run_cli(*arguments)
    assert result.returncode == 1
    assert len((result.stdout + result.stderr).strip().splitlines()) == 1
    assert "NETMAP_SOURCE" in result.stderr
    assert "PORTS=xdp" in result.stderr


def test_a_wrong_port_type_is_a_usage_error() -> None:
    assert run_cli("run", "--ports", "dpdk").returncode == 2


def test_a_report_without_checks_has_not_passed() -> None:
    assert not Report().passed


def test_one_failed_check_or_a_problem_fails_the_report() -> None:
    report = Report()
    report.check("a", True, "fine")
    assert report.passed
    assert json.loads(report.render_json())["passed"] is True
    report.check("b", False, "3 lost")
    assert not report.passed
    assert "FAIL b: 3 lost" in report.render_text()
    assert report.render_text().endswith("1 passed, 1 failed")
    ended = Report()
    ended.check("a", True, "fine")
    ended.problem = "QEMU ended"
    assert not ended.passed
