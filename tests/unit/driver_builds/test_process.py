# SPDX-License-Identifier: Apache-2.0
"""Running programs: what they see, what is kept, and that none is left behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from driver_builds import process
from driver_builds.errors import DiskFullError, DriverBuildError, OutOfMemoryError


def test_output_status_and_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "e1000.log"
    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], log=log)
    assert (done.status, done.output) == (3, "out\nerr\n")
    process.run(["echo", "second"], log=log)
    assert log.read_text() == "$ sh -c echo out; echo err >&2; exit 3\nout\nerr\n$ echo second\nsecond\n"


def test_a_missing_program() -> None:
    with pytest.raises(DriverBuildError, match=r"no-such-program: not found.*driver-builds doctor"):
        process.run(["no-such-program"])


def test_the_environment_of_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j9")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    seen = process.run(["env"]).output.splitlines()
    assert "LC_ALL=C" in seen
    assert not any(line.startswith("MAKEFLAGS=") for line in seen)


# Runs a program that has a child of its own, the way `main` does: SIGTERM ends it like Ctrl-C.
_RUNNER = """
import signal, sys
from driver_builds import process
from driver_builds.errors import DiskFullError, DriverBuildError, OutOfMemoryError
from driver_builds.cli import main
signal.signal(signal.SIGTERM, main._interrupt)
process.run(["sh", "-c", "sleep 600 & echo $! > $0.new; mv $0.new $0; wait", sys.argv[1]])
"""


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, str(pid_file)], stderr=subprocess.PIPE, text=True
    )
    _wait(pid_file.exists)
    child = int(pid_file.read_text())
    assert _is_running(child)
    runner.send_signal(number)
    assert "KeyboardInterrupt" in runner.communicate()[1]
    _wait(lambda: not _is_running(child))


def test_a_compiler_the_kernel_killed_is_no_failure_of_what_it_compiled(tmp_path: Path) -> None:
    """A real gcc whose compiler proper is killed, as the kernel does where memory ends."""
    killer = tmp_path / "cc1"
    killer.write_text("#!/bin/sh\nkill -9 $$\n")
    killer.chmod(0o755)
    source = tmp_path / "a.c"
    source.write_text("int a;\n")
    with pytest.raises(OutOfMemoryError, match=r"Killed signal terminated program cc1; .* fewer --jobs"):
        process.run(["gcc", f"-B{tmp_path}/", "-c", str(source), "-o", str(tmp_path / "a.o")])


def test_a_full_disk_is_no_failure_of_what_was_compiled() -> None:
    with pytest.raises(DiskFullError, match="No space left on device; nothing half-written"):
        process.run(["cp", "/proc/version", "/dev/full"])


def test_a_write_that_was_cut_short_is_a_full_disk_too(tmp_path: Path) -> None:
    """GNU tar's words where only the first part of a block found room: they do not say why."""
    script = 'echo "tar: x.c: Wrote only 512 of 10240 bytes" >&2; exit 2'
    with pytest.raises(DiskFullError, match="Wrote only 512 of 10240 bytes: No space left on device"):
        process.run(["sh", "-c", script])


def test_a_stream_that_ends_at_a_full_disk_says_so() -> None:
    command = ["sh", "-c", "cat /proc/version; cat /proc/version > /dev/full"]
    with (
        pytest.raises(DiskFullError, match="No space left on device; nothing half-written"),
        process.stream_output(command, environment=process.build_environment()) as stream,
    ):
        assert stream.read()
