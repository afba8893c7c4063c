# SPDX-License-Identifier: Apache-2.0
"""What is seen of the appliance, with the daemon's help and without it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.daemon.api import DaemonStatus, GenerationStatus, StatusDocument
from appliance.daemon.counters import list_indices, subtract_bases
from appliance.daemon.folders import Folders
from appliance.daemon.media import list_media
from appliance.daemon.store import Generation, Store
from appliance.errors import StoreError
from appliance.telemetry import Observation, collect_observation


def observe(
    runtime_dir: Path,
    record: Generation | None,
    restarts: Mapping[str, int] | None = None,
    previous: Observation | None = None,
) -> Observation:
    """Look at every worker; routes are those of `record`, counted from when each was added."""
    counters = record.worker_counters if record is not None else {}
    media = list_media(counters, record is not None and record.discover)
    seen = collect_observation(runtime_dir, list_indices(counters), restarts, previous, media)
    return subtract_bases(seen, counters)


def build_status(
    daemon: DaemonStatus, record: Generation | None, seen: Observation, problems: Sequence[str]
) -> StatusDocument:
    """One document of everything; `problems` come before those of the observation."""
    generation = GenerationStatus()
    if record is not None:
        generation = GenerationStatus(
            active=record.generation, digest=record.digest, configured=record.configured
        )
    return StatusDocument(
        daemon=daemon,
        generation=generation,
        workers=seen.workers,
        ports=seen.ports,
        routes=seen.routes,
        protected=seen.protected,
        discovered=seen.discovered,
        problems=(*problems, *seen.problems),
    )


def read_status_without_daemon(folders: Folders, problem: str) -> StatusDocument:
    """The account from the state segments and the state directory; `problem` says why no daemon answers."""
    problems = [problem]
    record = None
    try:
        record = Store(folders.state).load_generation()
    except StoreError as error:
        problems.append(error.message)
    daemon = DaemonStatus(running=False, pid=None, problem=problem)
    return build_status(daemon, record, observe(folders.runtime, record), problems)
