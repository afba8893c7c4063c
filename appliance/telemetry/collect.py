# SPDX-License-Identifier: Apache-2.0
"""Read the state segments of a runtime directory: how counters reach a person, daemon or no daemon."""

import time
from collections.abc import Mapping
from pathlib import Path

from appliance.config.steering import load_rules
from appliance.config.worker_spec import WorkerFiles, list_worker_files
from appliance.fastpath import NativeError, PortCounters, PortHealth, PortInfo, StateSegment, WorkerSnapshot
from appliance.telemetry.account import is_balanced, sum_accounts
from appliance.telemetry.media import (
    NO_MEDIA,
    MediaIndex,
    list_silent_problems,
    read_discovered,
    read_protected,
    read_route,
)
from appliance.telemetry.memberships import list_membership_problems, read_memberships
from appliance.telemetry.problems import (
    list_port_problems,
    list_worker_problems,
    render_unreadable,
)
from appliance.telemetry.processes import is_alive
from appliance.telemetry.records import Account, Observation, PortRecord, WorkerRecord

_NS_PER_S = 1_000_000_000

# Worker name -> route name -> index of its counters, as the daemon keeps it in generation.json.
RouteCountersByWorker = Mapping[str, Mapping[str, int]]


def collect_observation(
    runtime_dir: Path,
    routes: RouteCountersByWorker | None = None,
    restarts: Mapping[str, int] | None = None,
    previous: Observation | None = None,
    media: Mapping[str, MediaIndex] | None = None,
) -> Observation:
    """Look at every worker below `runtime_dir`.

    `routes` maps worker -> route -> counter index and decides which routes are listed; `restarts` counts a
    worker's restarts (the daemon knows). With `previous`, counters that tell of trouble are problems where
    they rose since; without it, faults are problems where they are not 0.
    `media` says for a worker what its table asks of RTP: it decides what `rtp`, `pacing` and `protected` show.
    A segment that cannot be read is a problem in the observation, never an exception.
    """
    parts = [
        _collect_worker(
            files,
            (routes or {}).get(files.name, {}),
            (restarts or {}).get(files.name, 0),
            (media or {}).get(files.name, NO_MEDIA),
        )
        for files in list_worker_files(runtime_dir)
    ]
    ports = tuple(port for part in parts for port in part.ports)
    before = {(port.worker, port.name): port for port in previous.ports} if previous else {}
    problems = [problem for part in parts for problem in part.problems]
    for port in ports:
        problems += list_port_problems(port, before.get((port.worker, port.name)))
    return Observation(
        workers=tuple(worker for part in parts for worker in part.workers),
        ports=ports,
        routes=tuple(route for part in parts for route in part.routes),
        protected=tuple(merge for part in parts for merge in part.protected),
        discovered=tuple(flow for part in parts for flow in part.discovered),
        problems=tuple(problems),
    )


def _collect_worker(
    files: WorkerFiles, routes: Mapping[str, int], restarts: int, media: MediaIndex
) -> Observation:
    try:
        with StateSegment.open(files.state) as state:
            snapshot = state.read_worker()
            ports = read_ports(state, files.name)
            counted = tuple(read_route(state, name, counter, media) for name, counter in routes.items())
            protected = read_protected(state, files.name, media)
            evicted = state.count_evicted() if media.discover else 0
            discovered = read_discovered(state, files.name, tuple(port.name for port in ports), media)
    except NativeError as error:
        return _describe_unreadable(files, restarts, error)
    worker = _build_worker(files.name, snapshot, ports, restarts, evicted)
    problems = list_worker_problems(worker, files)
    if worker.alive:  # the kernel leaves for a dead one
        report = read_memberships(files, worker.pid)
        worker = worker.model_copy(
            update={"memberships": report.memberships, "flow_rules": _read_flow_rules(files)}
        )
        problems = (
            *problems,
            *list_membership_problems(files, report),
            *list_silent_problems(protected),
        )
    return Observation(
        workers=(worker,),
        ports=ports,
        routes=counted,
        protected=protected,
        discovered=discovered,
        problems=problems,
    )


def _read_flow_rules(files: WorkerFiles) -> tuple[str, ...]:
    try:
        return tuple(str(rule) for rule in load_rules(files.steering))
    except (OSError, ValueError):
        return ()  # the daemon says so


def _build_worker(
    name: str, snapshot: WorkerSnapshot, ports: tuple[PortRecord, ...], restarts: int, evicted_flows: int
) -> WorkerRecord:
    age_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - snapshot.heartbeat_ns
    return WorkerRecord(
        name=name,
        pid=snapshot.pid,
        alive=is_alive(snapshot.pid, snapshot.pid_start_ticks),
        running=snapshot.running,
        generation=snapshot.generation,
        published=snapshot.published,
        heartbeat_age_s=max(0, age_ns) / _NS_PER_S,
        restarts=restarts,
        balanced=all(is_balanced(port) for port in ports),
        account=sum_accounts(ports),
        evicted_flows=evicted_flows,
    )


def _describe_unreadable(files: WorkerFiles, restarts: int, error: NativeError) -> Observation:
    worker = WorkerRecord(
        name=files.name,
        pid=0,
        alive=False,
        running=False,
        generation=0,
        published=0,
        heartbeat_age_s=None,
        restarts=restarts,
        balanced=True,
        account=Account(),
    )
    return Observation(workers=(worker,), problems=(render_unreadable(files, error),))


def _read_port(state: StateSegment, worker: str, index: int) -> PortRecord:
    info, counters = state.read_port_info(index), state.read_port(index)
    return build_port_record(worker, info, counters, state.read_port_health(index))


def build_port_record(worker: str, info: PortInfo, counters: PortCounters, health: PortHealth) -> PortRecord:
    """A port's description, counters and health as one record."""
    described = {field: getattr(info, field) for field in info.__slots__ if field != "spec"}
    counted = {field: getattr(counters, field) for field in counters.__slots__}
    state = {field: getattr(health, field) for field in health.__slots__}
    return PortRecord(worker=worker, device=info.spec, **described, **counted, **state)


def name_swaps(ports: tuple[PortRecord, ...]) -> tuple[PortRecord, ...]:
    """The same ports of one worker, each with the others of its memory region: between them buffers are swapped."""
    return tuple(
        port.model_copy(
            update={
                "swaps_with": tuple(
                    other.name for other in ports if other.region == port.region and other is not port
                )
            }
        )
        for port in ports
    )


def read_ports(state: StateSegment, worker: str) -> tuple[PortRecord, ...]:
    """Every port of an open segment; the worker uses it for its final account."""
    count = state.read_worker().port_count
    return name_swaps(tuple(_read_port(state, worker, index) for index in range(count)))
