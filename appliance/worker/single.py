# SPDX-License-Identifier: Apache-2.0
"""One worker of a name in a runtime directory: a lock the kernel drops with the process, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.config.worker_spec import WorkerFiles
from appliance.errors import AlreadyRunning, WorkerError

# Whoever asks whether a worker lives takes its lock for a moment; that is no second worker.
_TRIES = 10
_PAUSE_S = 0.02


@contextmanager
def hold_lock(files: WorkerFiles) -> Iterator[None]:
    """Hold `lock` inside the block. AlreadyRunning names the process that has it."""
    try:
        descriptor = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        text = (
            f"worker {files.name}: {files.lock}: {error.strerror}; the daemon makes the folder with spec.json"
        )
        raise WorkerError(files.name, text) from error
    try:
        take_lock(files, descriptor)
        yield
    finally:
        os.close(descriptor)


def take_lock(files: WorkerFiles, descriptor: int) -> None:
    """Lock the open file and leave this pid in it, or say who has it."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(_PAUSE_S)
    else:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        raise AlreadyRunning(
            f"worker {files.name}: process {holder} runs it already in {files.folder}; stop that one first"
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
