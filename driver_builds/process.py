# SPDX-License-Identifier: Apache-2.0
"""Running other programs: the only user of `subprocess` in this package."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from driver_builds.errors import DiskFullError, DriverBuildError, OutOfMemoryError

# What a build may see of the caller's environment. Not CC, CFLAGS, ARCH, KCFLAGS or MAKEFLAGS: they change
# what is built without being among the inputs (`make lab` hands a MAKEFLAGS with its own job server down).
_KEPT = ("PATH", "HOME", "TMPDIR")

# What runs now, in any thread: only the main thread hears of Ctrl-C.
_running: set[subprocess.Popen[bytes]] = set()


# Descriptors every program gets, see `held`.
_held: set[int] = set()

# strerror(ENOSPC), in English by the environment programs are run in.
_DISK_FULL = "No space left on device"
# What tar says where a write was cut short by it.
_CUT_SHORT = re.compile(r"Wrote only [0-9]+ of [0-9]+ bytes")
# gcc's words when the kernel killed its compiler, and the C library's when there was none to be had.
_OUT_OF_MEMORY = ("Killed signal terminated program", "Cannot allocate memory", "virtual memory exhausted")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: exit status (negative: by that signal) and stdout with stderr, as text."""

    status: int
    output: str


def build_environment(**more: str) -> dict[str, str]:
    """The environment compilers run in: few variables, messages in English."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "LC_ALL": "C", "LANGUAGE": "C", **more}


def fetch_environment(**more: str) -> dict[str, str]:
    """The environment apt and git run in: the caller's, messages in English, no question on the terminal."""
    return {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", "GIT_TERMINAL_PROMPT": "0", **more}


def find_program(name: str) -> str | None:
    """Absolute path of `name` on PATH, sbin folders included, or None."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return shutil.which(name, path=path)


def run(
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: Path | None = None,
    log: Path | None = None,
    inherit: Sequence[int] = (),
) -> Finished:
    """Runs a program to its end and returns its output; also appends command and output to `log`.

    `inherit` are open descriptors the program gets. It and its children are stopped when this process is
    interrupted. Raises DriverBuildError when the program is not there.
    """
    with contextlib.ExitStack() as stack:
        source: IO[bytes] | int = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        process = _start(arguments, source, subprocess.STDOUT, cwd, environment, inherit)
        with stopped_on_error(process):
            output = process.communicate()[0].decode("utf-8", "replace")
    if log is not None:
        append_log(log, f"$ {' '.join(arguments)}", output)
    if process.returncode != 0:
        check_host(output)
    return Finished(process.returncode, output)


def append_log(log: Path, heading: str, output: str) -> None:
    """Adds a command, as a person would write it, and what it said to a log that need not be there yet."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"{heading}\n{output}")


def check_host(output: str) -> None:
    """Raises when a program failed because of this host: recorded as its own failure it would not be tried again."""
    for line in output.splitlines():
        if _DISK_FULL in line:
            raise DiskFullError(describe_disk_full(line))
        if _CUT_SHORT.search(line):
            raise DiskFullError(describe_disk_full(f"{line.strip()}: {_DISK_FULL}"))
        if any(words in line for words in _OUT_OF_MEMORY):
            raise OutOfMemoryError(
                f"{line.strip()}; give the host more memory, or run it again with fewer --jobs"
            )


def run_watched(
    arguments: Sequence[str], goes_on: Callable[[float], bool], *, every_s: float = 0.25
) -> Finished | None:
    """Runs a program until it ends; None when `goes_on(seconds so far)` said no and it was killed.

    The output is taken at the end: for programs that write little, such as QEMU.
    """
    started = time.monotonic()
    process = _start(arguments, subprocess.DEVNULL, subprocess.STDOUT, None, None)
    with stopped_on_error(process):
        while True:
            try:
                output = process.communicate(timeout=every_s)[0].decode("utf-8", "replace")
                return Finished(process.returncode, output)
            except subprocess.TimeoutExpired:
                if not goes_on(time.monotonic() - started):
                    _kill(process)
                    process.communicate()
                    return None


def describe_disk_full(seen: str) -> str:
    """What happened, and what to do."""
    return (
        f"{seen.strip()}; nothing half-written was left: make room (`driver-builds clean` shows what the cache "
        "holds) and run it again"
    )


@contextlib.contextmanager
def stream_output(arguments: Sequence[str], *, environment: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """A program's stdout as a stream; raises DriverBuildError when it fails once the block is left.

    Its own failure is raised also where the block ended by an error: half an output is not the reader's fault.
    """
    process = _start(arguments, subprocess.DEVNULL, subprocess.PIPE, None, environment)
    assert process.stdout is not None
    assert process.stderr is not None
    with stopped_on_error(process):
        problem: DriverBuildError | None = None
        try:
            yield process.stdout
        except DriverBuildError as error:
            problem = error
        process.stdout.close()
        said = process.stderr.read().decode("utf-8", "replace").strip()
        process.wait()
    if process.returncode > 0:
        check_host(said)
        raise DriverBuildError(f"{arguments[0]} failed with status {process.returncode}: {said}") from problem
    if problem is not None:
        raise problem


@contextlib.contextmanager
def held(descriptor: int) -> Iterator[None]:
    """Every program run in this block gets the descriptor, so that a lock is held as long as one of them lives.

    Where this process is killed, its compilers go on for a while; the next build must not write beside them.
    """
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)


@contextlib.contextmanager
def stopped_on_error(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kills `process` and its group when the block is left by an exception, Ctrl-C included."""
    _running.add(process)
    try:
        yield
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        _running.discard(process)


def stop_running() -> None:
    """Kills every program this process runs, those of other threads too; their `run` then returns."""
    for process in tuple(_running):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Not one that has been waited for: its number may be another's by now.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _start(
    arguments: Sequence[str],
    stdin: IO[bytes] | int,
    stderr: int,
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    inherit: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(arguments),
            cwd=cwd,
            env=dict(build_environment() if environment is None else environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            pass_fds=(*inherit, *_held),
        )
    except FileNotFoundError as error:
        raise DriverBuildError(
            f"{arguments[0]}: not found on this build host; `driver-builds doctor` says what to install"
        ) from error
