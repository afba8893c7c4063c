# SPDX-License-Identifier: Apache-2.0
"""The life of a worker process: detach, lock, open, loop, stop, final account."""

import contextlib
import json
import os
import signal
from pathlib import Path

from appliance.config.worker_spec import MEMBERSHIPS_CHANGED, WorkerFiles, load_worker_spec
from appliance.errors import ApplianceError, ExitCode, WorkerError
from appliance.telemetry.account import is_balanced, sum_accounts
from appliance.telemetry.collect import read_ports
from appliance.telemetry.records import PortRecord
from appliance.worker.loop import LoopThread
from appliance.worker.membership_keeper import CHECK_PERIOD_S, MembershipKeeper
from appliance.worker.opened import OpenedWorker
from appliance.worker.single import hold_lock

# Raised in this process by the loop thread when it ends; blocked everywhere, taken by sigwait only.
LOOP_ENDED = signal.SIGUSR1
_STDOUT, _STDERR = 1, 2  # the descriptors: sys.stdout is None where they were closed
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_WAITED_FOR = STOP_SIGNALS | {LOOP_ENDED, MEMBERSHIPS_CHANGED}


def run_process(files: WorkerFiles) -> int:
    """Run the worker of these files until it is told to stop; returns the exit status.

    A failure is one line on stderr and `error.json` beside the spec, so that the daemon can show it.
    """
    detach_process()
    try:
        with hold_lock(files):
            files.error.unlink(missing_ok=True)
            try:
                ports = forward_until_stopped(files)
            except ApplianceError as error:
                write_error(files.error, error)
                raise
    except ApplianceError as error:
        write_line(_STDERR, error.message)
        return error.exit_code
    write_line(_STDOUT, render_final_account(files.name, ports))
    return ExitCode.OK


def detach_process() -> None:
    """Make the worker independent of whoever started it (law 1).

    Its own session keeps Ctrl-C and a lost terminal away; SIGPIPE would end it with the daemon's pipes. A SIGHUP,
    wherever it comes from, only makes it look at its memberships. The signals it waits for are blocked before any
    thread exists, so that every thread inherits that.
    """
    if os.getpgrp() != os.getpid():  # a group's leader has been detached already, or was started by hand
        os.setsid()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    # Inherited from nohup it would be ignored, and sigwait(3) of an ignored signal is undefined.
    signal.signal(MEMBERSHIPS_CHANGED, signal.SIG_DFL)


def forward_until_stopped(files: WorkerFiles) -> tuple[PortRecord, ...]:
    """Open everything, forward until a stop is requested, close; returns the final counters of the ports."""
    spec = load_worker_spec(files.spec)
    if spec.name != files.name:
        raise WorkerError(files.name, f"{files.spec}: name: {spec.name!r} is not {files.name!r}, its folder")
    with OpenedWorker(spec, files) as opened:
        thread = LoopThread(opened.worker, spec.cpu, LOOP_ENDED)
        thread.start()
        with MembershipKeeper(files) as memberships:
            wait_for_end(thread, memberships)
        opened.state.request_stop()
        thread.join()
        ports = read_ports(opened.state, spec.name)
    if thread.failure is not None:
        raise WorkerError(spec.name, f"worker {spec.name}: {thread.failure}")
    return ports


def wait_for_end(thread: LoopThread, memberships: MembershipKeeper) -> None:
    """Keep the memberships until somebody asks this process to stop, or the loop ended by itself."""
    while thread.is_alive():
        taken = signal.sigtimedwait(_WAITED_FOR, CHECK_PERIOD_S)
        number = None if taken is None else taken.si_signo
        if number in STOP_SIGNALS:
            return
        if number is None:
            memberships.check()
        elif number == MEMBERSHIPS_CHANGED:
            memberships.read()
        else:
            thread.join_if_ending()


def render_final_account(name: str, ports: tuple[PortRecord, ...]) -> str:
    """The one line on stdout: the worker's account and its ports, as in `status --json`."""
    return json.dumps(
        {
            "worker": name,
            "balanced": all(is_balanced(port) for port in ports),
            "account": sum_accounts(ports).model_dump(mode="json"),
            "ports": [port.model_dump(mode="json") for port in ports],
        }
    )


def write_error(path: Path, error: ApplianceError) -> None:
    """Leave `{"exit_code", "message"}` for the daemon: whole or not at all."""
    aside = path.with_name(path.name + ".new")
    text = json.dumps({"exit_code": int(error.exit_code), "message": error.message})
    with contextlib.suppress(OSError):  # the line on stderr says the same
        aside.write_text(text + "\n")
        aside.replace(path)


def write_line(descriptor: int, text: str) -> None:
    """Print a line, also where nobody reads any more: the daemon that held the pipe may be gone."""
    with contextlib.suppress(OSError):
        os.write(descriptor, text.encode() + b"\n")
