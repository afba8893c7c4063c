# SPDX-License-Identifier: Apache-2.0
"""What is wrong, as sentences for the operator: what was seen, what was wanted, what to do."""

import json
import time

from appliance.config.worker_spec import WorkerFiles
from appliance.fastpath import NativeError
from appliance.telemetry.account import count_unaccounted, count_unaccounted_copies
from appliance.telemetry.moments import render_moment
from appliance.telemetry.records import PortRecord, WorkerRecord

# A worker beats at least every 200 ms (fastpath.h, heartbeat_ns); ten missed beats are no jitter.
STALE_HEARTBEAT_S = 2.0
# An e1000's link is back about four seconds after its port was opened.
LINK_SETTLES_S = 6
# A table is taken at the next turn: pending is a problem only where turns stopped coming.
PENDING_HEARTBEAT_S = 0.5


def list_worker_problems(worker: WorkerRecord, files: WorkerFiles) -> tuple[str, ...]:
    """The problems of a worker whose state segment could be read."""
    name = f"worker {worker.name}"
    if not worker.alive:
        seen = f"process {worker.pid} is gone" if worker.running else f"stopped (process {worker.pid} ended)"
        return (f"{name}: {seen}; {_read_error(files) or 'start the daemon, it starts the worker again'}",)
    problems = []
    if not worker.running:
        problems.append(f"{name}: process {worker.pid} lives but its loop does not run; restart the worker")
    elif worker.heartbeat_age_s is not None and worker.heartbeat_age_s > STALE_HEARTBEAT_S:
        problems.append(
            f"{name}: no heartbeat for {worker.heartbeat_age_s:.1f} s, one every 0.2 s was wanted; "
            "look whether its CPU is taken away or the process is stopped"
        )
    if worker.published > worker.generation and (worker.heartbeat_age_s or 0) > PENDING_HEARTBEAT_S:
        problems.append(
            f"{name}: uses generation {worker.generation}, generation {worker.published} was published and "
            "is not acknowledged; look again, and restart the worker where it stays so"
        )
    return tuple(problems)


def list_port_problems(port: PortRecord, before: PortRecord | None = None) -> tuple[str, ...]:
    """The problems of one port; `before` is the same port in an earlier observation."""
    name = f"port {port.name} of worker {port.worker}"
    problems = []
    if port.state != "up" and not _is_settling(port):
        problems.append(f"{name}: {_describe_state(port)}")
    if missing := count_unaccounted(port):
        problems.append(f"{name}: {missing} received frames are not accounted for; report this as a defect")
    if missing := count_unaccounted_copies(port):
        problems.append(f"{name}: {missing} offered copies are not accounted for; report this as a defect")
    if port.state == "up" and (errors := _rise(port, before, "sync_errors")):
        problems.append(
            f"{name}: {errors} failed syncs of {port.device}{_since(before)}, none was wanted; "
            "look at the interface's link and the kernel log"
        )
    if before is not None and (missed := _rise(port, before, "missed_frames")):
        problems.append(
            f"{name}: {missed} frames were lost before its RX ring since the last look, because it was full; "
            "look whether the worker gets its CPU, give it one of its own (cpu:) or more ring_slots"
        )
    if before is not None and port.state == "up" and (full := _rise(port, before, "tx_full_frames")):
        problems.append(
            f"{name}: {full} copies found its TX ring full since the last look; "
            f"the output is slower than the input: look at the link of {port.device}"
        )
    return tuple(problems)


_STATES = {
    "no_link": "the interface of {device} has no link{since}; look at the cable and at the other end",
    "down": "the interface of {device} is set down{since}; `ip link set ... up` brings the port back",
    "gone": "{device} is gone{since}: {error}; the port returns by itself when the interface does",
    "reopening": "{device} failed and cannot be opened again{since}: {error}; it is tried ten times a second",
}


def _is_settling(port: PortRecord) -> bool:
    """A NIC that netmap takes over resets its link: none for some seconds is no problem."""
    return port.state == "no_link" and time.time_ns() - port.since_ns < LINK_SETTLES_S * 1_000_000_000


def _describe_state(port: PortRecord) -> str:
    """What the port waits for, since when, and how often that has happened."""
    since = f" since {render_moment(port.since_ns)}, outage {port.outages}"
    text = _STATES.get(port.state, "{device} is in state " + port.state + "{since}")
    error = port.open_error or "the interface does not exist"
    return text.format(device=port.device, since=since, error=error)


def render_unreadable(files: WorkerFiles, error: NativeError) -> str:
    """The sentence for a worker whose state segment cannot be read."""
    return f"worker {files.name}: {_read_error(files) or error.message}"


def _rise(port: PortRecord, before: PortRecord | None, field: str) -> int:
    """How much a counter grew; a smaller one than before is a new worker's, counted from 0."""
    now: int = getattr(port, field)
    earlier: int = getattr(before, field) if before is not None else 0
    return now - earlier if now >= earlier else now


def _since(before: PortRecord | None) -> str:
    return " since the worker's start" if before is None else " since the last look"


def _read_error(files: WorkerFiles) -> str | None:
    """The message the worker left when it failed, or None."""
    try:
        message = json.loads(files.error.read_text())["message"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(message)
