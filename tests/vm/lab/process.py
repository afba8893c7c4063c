# SPDX-License-Identifier: Apache-2.0
"""Run programs under the run's time limit, and end only what was started here."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from lab.errors import LabError

_TAIL_LINES = 40


class Deadline:
    """The time limit of a whole run; every wait asks it what is left."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._end = time.monotonic() + limit_s

    def left_s(self, at_most_s: float = float("inf")) -> float:
        """Seconds a wait may still take, at most `at_most_s`; LabError where none are left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise LabError(
                f"the lab's time limit of {self._limit_s:.0f} s is over; raise it with --time-limit"
            )
        return min(left, at_most_s)


def stop_group(process: subprocess.Popen[bytes], grace_s: float = 10.0) -> None:
    """End a process started with its own session, and its children: first asked, then made to."""
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=grace_s)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    deadline: Deadline,
    *,
    limit_s: float = float("inf"),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    may_fail: bool = False,
) -> int:
    """Run `command` with its output in `log`; returns its exit status.

    LabError with the log's end where the program fails and may not, or where the time is over. Its children
    are ended with it then, and when the lab is interrupted.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(f"$ {shlex.join(map(str, command))}\n".encode())
        sink.flush()
        process = start_detached(command, sink, env, cwd)
    try:
        status = process.wait(timeout=deadline.left_s(limit_s))
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{_name(command)} did not end in time\n{tail(log)}") from error
    finally:
        if process.poll() is None:
            stop_group(process)
    if status and not may_fail:
        raise LabError(f"{_name(command)} failed with status {status}:\n{tail(log)}")
    return status


def start_detached(
    command: Sequence[str | Path],
    sink: IO[bytes] | int,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, without input, its output in `sink`: a terminal's Ctrl-C is not its."""
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        start_new_session=True,
    )


def _name(command: Sequence[str | Path]) -> str:
    return Path(str(command[0])).name


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Last lines of a log file, for a message."""
    if not log.is_file():
        return f"({log.name} was not written)"
    text = log.read_bytes().decode(errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in text[-lines:])
