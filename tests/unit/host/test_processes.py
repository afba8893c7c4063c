# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive whoever started them."""

import os
import signal
from pathlib import Path

import pytest

from appliance.errors import HostError
from appliance.host.processes import Process, find_process, start_detached


def start(tmp_path: Path, script: str, inherited_fds: tuple[int, ...] = ()) -> Process:
    return start_detached(["/bin/sh", "-c", script], os.environ, tmp_path / "log", inherited_fds)


def test_exit_status_and_log(tmp_path: Path) -> None:
    assert start(tmp_path, "echo out; echo err >&2; exit 7").reap() == 7
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_own_session(tmp_path: Path) -> None:
    process = start(tmp_path, "exec sleep 60")
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    process.signal(signal.SIGKILL)
    assert process.reap() == -signal.SIGKILL


def test_inherited_descriptors(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        script = f"[ -e /proc/self/fd/{file.fileno()} ]"
        assert start(tmp_path, script, (file.fileno(),)).reap() == 0
        assert start(tmp_path, script).reap() == 1


def test_a_signal_to_an_ended_process_harms_nobody(tmp_path: Path) -> None:
    process = start(tmp_path, "exit 0")
    os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)
    process.signal(signal.SIGKILL)
    assert process.reap() == 0


def test_processes_of_others(tmp_path: Path) -> None:
    assert find_process(2**22 + 1) is None
    found = find_process(os.getpid())
    assert found is not None
    assert found.reap() is None


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="/nowhere: cannot be started: No such file or directory"):
        start_detached(["/nowhere"], os.environ, tmp_path / "log")
