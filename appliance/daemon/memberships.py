# SPDX-License-Identifier: Apache-2.0
"""Tell workers which multicast groups their routes need: joined before the table that uses them, left after it.

So a route that stays misses no frame. Between the two a worker holds the groups of both tables; a daemon that dies
there leaves it so, and the next one settles it.
"""

from collections.abc import Iterable

from appliance.config.memberships import (
    Membership,
    load_memberships,
    render_memberships,
    sort_memberships,
)
from appliance.config.worker_spec import MEMBERSHIPS_CHANGED
from appliance.daemon.files import write_atomically
from appliance.daemon.launch import RunningWorker
from appliance.errors import WorkerError


def add_memberships(worker: RunningWorker, wanted: Iterable[Membership]) -> None:
    """Before a table is offered: what it needs, beside what the table in use needs. Raises WorkerError."""
    try:
        held = load_memberships(worker.files.memberships)
    except (OSError, ValueError):
        held = ()  # settled after the table
    _write(worker, sort_memberships([*held, *wanted]))


def settle_memberships(worker: RunningWorker, wanted: Iterable[Membership]) -> None:
    """After a table was acknowledged: what it needs and nothing else. Raises WorkerError."""
    _write(worker, sort_memberships(wanted))


def _write(worker: RunningWorker, memberships: tuple[Membership, ...]) -> None:
    path, text = worker.files.memberships, render_memberships(memberships)
    try:
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text)
    except OSError as error:
        raise WorkerError(
            worker.name, f"worker {worker.name}: {path}: {error.strerror}; make it writable, then apply again"
        ) from error
    # Also where nothing changed: a daemon may have died between writing and telling.
    worker.process.signal(MEMBERSHIPS_CHANGED)
