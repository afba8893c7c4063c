# SPDX-License-Identifier: Apache-2.0
"""Take over workers that an earlier daemon started: found by their locks, held by pidfd, never restarted."""

import fcntl
import os
import time
from pathlib import Path

from appliance.config.worker_spec import WorkerFiles, load_worker_spec
from appliance.daemon.launch import RunningWorker, spawn_lock_path
from appliance.errors import WorkerError
from appliance.fastpath import NativeError, StateSegment
from appliance.host.processes import find_process
from appliance.telemetry.processes import is_alive

ADOPT_LIMIT_S = 5.0
_PAUSE_S = 0.01


def adopt_worker(files: WorkerFiles) -> RunningWorker | None:
    """Take over a worker somebody else started; None where its process has ended.

    Raises WorkerError where it lives but cannot be understood: then nothing may be started in its place.
    """
    if not is_held(files):
        return None
    deadline = time.monotonic() + ADOPT_LIMIT_S
    while time.monotonic() < deadline:
        worker = _try_adopt(files)
        if worker is not None:
            return worker
        if not is_held(files):
            return None
        time.sleep(_PAUSE_S)
    pid = read_lock_pid(files)
    raise WorkerError(
        files.name,
        f"worker {files.name}: process {pid or 'unknown'} lives, but {files.state} cannot be understood; "
        f"it may be of another version. Its frames go on. To replace it: `kill {pid or 'PID'}`, "
        "then start the daemon again",
    )


def _try_adopt(files: WorkerFiles) -> RunningWorker | None:
    try:
        state = StateSegment.open(files.state)
        seen = state.read_worker()
    except NativeError:
        return None
    process = find_process(seen.pid)
    if process is None or not seen.running or not is_alive(seen.pid, seen.pid_start_ticks):
        if process is not None:
            process.release()
        state.close()
        return None
    return RunningWorker(load_worker_spec(files.spec), files, process, state, adopted=True)


def is_held(files: WorkerFiles) -> bool:
    """Whether a process of this worker lives: one of its locks is taken."""
    return any(_is_locked(path) for path in (files.lock, spawn_lock_path(files)))


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_lock_pid(files: WorkerFiles) -> int | None:
    """The pid a worker left in its lock file."""
    try:
        return int(files.lock.read_text())
    except (OSError, ValueError):
        return None
