# SPDX-License-Identifier: Apache-2.0
"""One worker process from its spec to its first turn of the loop, or to the reason why not."""

import fcntl
import json
import os
import select
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from appliance.config.worker_spec import (
    WorkerFiles,
    WorkerSpec,
    render_worker_spec,
    worker_files,
)
from appliance.daemon.files import write_atomically
from appliance.errors import ApplianceError, TimedOut, WorkerError, build_error
from appliance.fastpath import NativeError, StateSegment
from appliance.host.processes import Process, start_detached

# Opening a netmap port takes the link down and up, which some NICs need seconds for; Python on an emulated, busy CPU
# (the lab) needs most of a minute before that.
START_LIMIT_S = 120.0
_PAUSE_S = 0.01
_LOG_TAIL_BYTES = 2000


@dataclass(slots=True)
class RunningWorker:
    """A worker whose loop runs: its process, its mapped state segment, and what it was told to open."""

    spec: WorkerSpec
    files: WorkerFiles
    process: Process
    state: StateSegment
    adopted: bool = False
    since_s: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def has_table(self) -> bool:
        """Whether it was ever given routes. Without any it drops every frame: stopping it harms nobody."""
        return self.state.read_worker().published > 0

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return not wait_for_end(self.process, 0)


def start_worker(runtime_dir: Path, spec: WorkerSpec, cancelled: threading.Event) -> RunningWorker:
    """Start a worker and wait until its loop runs.

    Raises what the worker says in its error.json, WorkerError where it says nothing, TimedOut after
    START_LIMIT_S. Nothing of it is left then but its log.
    """
    files = worker_files(runtime_dir, spec.name)
    try:
        files.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for stale in (files.state, files.error, files.joined):
            stale.unlink(missing_ok=True)
        write_atomically(files.spec, render_worker_spec(spec))
        process = _spawn(runtime_dir, files)
    except OSError as error:
        text = f"{error.filename or files.folder}: {error.strerror}; make {runtime_dir} writable"
        raise WorkerError(spec.name, f"worker {spec.name}: not started: {text}") from error
    try:
        state = _wait_until_running(files, process, START_LIMIT_S, cancelled)
    except BaseException:
        kill_process(process)
        raise
    return RunningWorker(spec, files, process, state)


def _spawn(runtime_dir: Path, files: WorkerFiles) -> Process:
    # The worker locks files.lock a moment after it starts. This lock is its from the first moment: a daemon
    # that comes up after this one was killed just here sees that there is a worker to wait for.
    lock = os.open(spawn_lock_path(files), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        argv = [sys.executable, "-P", "-m", "appliance.worker"]
        argv += ["--runtime-dir", str(runtime_dir), "--name", files.name]
        return start_detached(argv, os.environ, log_path(files), (lock,))
    except BlockingIOError:
        raise WorkerError(files.name, f"worker {files.name}: an earlier process of it still lives") from None
    finally:
        os.close(lock)


def log_path(files: WorkerFiles) -> Path:
    """What the worker prints. A file, because a pipe would end with the daemon."""
    return files.folder / "log"


def spawn_lock_path(files: WorkerFiles) -> Path:
    """Locked by the worker from before its first instruction."""
    return files.folder / "spawn.lock"


def _wait_until_running(
    files: WorkerFiles, process: Process, limit_s: float, cancelled: threading.Event
) -> StateSegment:
    deadline = time.monotonic() + limit_s
    while True:
        state = _open_running(files, process.pid)
        if state is not None:
            return state
        if wait_for_end(process, _PAUSE_S):
            raise read_failure(files)
        if cancelled.is_set():
            raise WorkerError(files.name, f"worker {files.name}: start interrupted")
        if time.monotonic() > deadline:
            raise TimedOut(
                f"worker {files.name}: its loop did not run within {limit_s:.0f} s; "
                f"its last words: {_read_log_tail(files) or 'none'}"
            )


def _open_running(files: WorkerFiles, pid: int) -> StateSegment | None:
    if not files.state.exists():
        return None
    try:
        state = StateSegment.open(files.state)
    except NativeError:
        return None  # not yet filled; a damaged one ends in the time limit
    try:
        seen = state.read_worker()
        if seen.running and seen.pid == pid:
            return state
    except NativeError:
        pass
    state.close()
    return None


def wait_for_end(process: Process, wait_s: float) -> bool:
    """Wait at most `wait_s` for a process to end; True where it has."""
    poll = select.poll()
    poll.register(process.pidfd, select.POLLIN)  # readable when it ends, pidfd_open(2)
    return bool(poll.poll(wait_s * 1000))


def read_failure(files: WorkerFiles, status: int | None = None) -> ApplianceError:
    """Why a worker ended: its own words where it left some. `status` as of Process.reap."""
    try:
        left = json.loads(files.error.read_text())
        return build_error(int(left["exit_code"]), str(left["message"]))
    except (OSError, ValueError, KeyError, TypeError):
        said = _read_log_tail(files)
        text = f"worker {files.name}: {_render_end(status)}" + (f"; its last words: {said}" if said else "")
        return WorkerError(files.name, text)


def _render_end(status: int | None) -> str:
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with exit status {status}"
    return f"killed by signal {-status} ({signal.strsignal(-status)})"


def _read_log_tail(files: WorkerFiles) -> str:
    try:
        return log_path(files).read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except OSError:
        return ""


def kill_process(process: Process) -> None:
    """End a process that has nothing to finish."""
    process.signal(signal.SIGKILL)
    wait_for_end(process, 5.0)
    process.reap()


def remove_folder(files: WorkerFiles) -> None:
    """Forget a worker that has ended."""
    shutil.rmtree(files.folder, ignore_errors=True)
