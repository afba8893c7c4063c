# SPDX-License-Identifier: Apache-2.0
"""The worker processes of this appliance: started, adopted, stopped, given new tables.

Not thread-safe; the coordinator holds its lock around every call.
"""

import logging
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from appliance.config.entries import resolve_tables
from appliance.config.load import Loaded
from appliance.config.memberships import list_memberships
from appliance.config.schema import Config
from appliance.config.steering import list_flow_rules
from appliance.config.worker_spec import WorkerSpec, list_worker_files, worker_files
from appliance.daemon.adopt import adopt_worker, is_held, read_lock_pid
from appliance.daemon.counters import ReadBase, RouteCounter, WorkerCounters, assign_counters
from appliance.daemon.held import check_held_regions, read_regions
from appliance.daemon.interfaces import apply_settings, restore_settings
from appliance.daemon.launch import (
    RunningWorker,
    kill_process,
    read_failure,
    remove_folder,
    start_worker,
    wait_for_end,
)
from appliance.daemon.media import assign_media
from appliance.daemon.memberships import add_memberships, settle_memberships
from appliance.daemon.publish import build_table, publish_table, read_port_indices
from appliance.daemon.steering import add_steering, settle_steering
from appliance.daemon.watch import Watch
from appliance.errors import ApplianceError, WorkerError

_log = logging.getLogger(__name__)

# A worker flushes its TX rings for at most 100 ms (fastpath.h), then closes its ports: a link needs seconds.
_STOP_LIMIT_S = 10.0
_TERMINATE_LIMIT_S = 2.0


class Supervisor:
    """Every worker whose process lives, by name."""

    def __init__(self, runtime_dir: Path, watch: Watch) -> None:
        self._runtime_dir = runtime_dir
        self._watch = watch
        self.running: dict[str, RunningWorker] = {}
        self._kept_settings: dict[str, list[str]] = {}
        self.cancelled = threading.Event()
        """Set from a signal: starts in progress give up."""

    def adopt_all(self) -> list[RunningWorker]:
        """Take over what an earlier daemon left running, and clear away what it left dead."""
        for files in list_worker_files(self._runtime_dir):
            worker = adopt_worker(files)
            if worker is None:
                _log.warning(
                    "worker %s: had ended, cleared away: %s", files.name, read_failure(files).message
                )
                self.forget(files.name)
                continue
            _log.info("worker %s: taken over, process %d goes on", worker.name, worker.process.pid)
            self._keep(worker)
        return list(self.running.values())

    def start(self, spec: WorkerSpec) -> RunningWorker:
        """Set the interfaces and start a worker. On failure all is as before and nothing is left."""
        files = worker_files(self._runtime_dir, spec.name)
        if is_held(files):
            # Not ours to clear away: its folder is how it is found.
            pid = read_lock_pid(files) or "unknown"
            raise WorkerError(
                spec.name,
                f"worker {spec.name}: process {pid} holds {files.folder} still; stop it: `kill {pid}`",
            )
        try:
            self._kept_settings[spec.name] = apply_settings(files, spec)
            worker = start_worker(self._runtime_dir, spec, self.cancelled)
        except BaseException:
            self.forget(spec.name)
            raise
        _log.info("worker %s: started, process %d", spec.name, worker.process.pid)
        self._keep(worker)
        return worker

    def _keep(self, worker: RunningWorker) -> None:
        self.running[worker.name] = worker
        self._watch.add(worker.name, worker.process)

    def stop_all(self) -> None:
        """Stop every worker; they flush and close at the same time."""
        for worker in self.running.values():
            worker.state.request_stop()
        for name in list(self.running):
            self.stop(name)

    def stop(self, name: str) -> None:
        """Stop a worker: it flushes its rings, closes its ports. Its folder stays for the final account."""
        worker = self.running.pop(name)
        self._watch.remove(name)
        worker.state.request_stop()
        if not wait_for_end(worker.process, _STOP_LIMIT_S):
            _log.warning("worker %s: did not stop within %.0f s, terminated", name, _STOP_LIMIT_S)
            worker.process.signal(signal.SIGTERM)
            if not wait_for_end(worker.process, _TERMINATE_LIMIT_S):
                _log.error("worker %s: killed", name)
                kill_process(worker.process)
                worker.state.close()
                return
        worker.process.reap()
        worker.state.close()
        _log.info("worker %s: stopped", name)

    def forget_all(self) -> None:
        """`forget` every worker; none runs any more."""
        for files in list_worker_files(self._runtime_dir):
            self.forget(files.name)

    def list_kept_settings(self) -> list[str]:
        """Sentences about interface settings that the drivers did not let go of."""
        return [text for kept in list(self._kept_settings.values()) for text in kept]

    def forget(self, name: str) -> None:
        """Give the interfaces of an ended worker back and remove its folder."""
        files = worker_files(self._runtime_dir, name)
        settle_steering(files, ())
        restore_settings(files)
        remove_folder(files)
        self._kept_settings.pop(name, None)

    def take_ended(self, name: str) -> tuple[RunningWorker, ApplianceError] | None:
        """A worker that ended by itself, with its reason; None where it was stopped or replaced meanwhile."""
        worker = self.running.get(name)
        if worker is None:
            return None
        if worker.is_running():
            # The report was about its predecessor, whose name (or even descriptor) it has: watch on.
            self._watch.add(name, worker.process)
            return None
        del self.running[name]
        status = worker.process.reap()
        worker.state.close()
        return worker, read_failure(worker.files, status)

    def publish(
        self, loaded: Loaded, generation: int, previous: Mapping[str, Mapping[str, RouteCounter]]
    ) -> WorkerCounters:
        """Give every worker its table of this configuration and wait until all use it.

        Returns the counters of its routes. Every table is built before the first is offered.
        """
        counters: WorkerCounters = {}
        tables = []
        resolved = resolve_tables(loaded.config)
        for name, worker in self.running.items():
            if not _is_stale(worker, generation, loaded.digest):
                counters[name] = dict(previous.get(name, {}))
                continue
            entries, before = resolved.entries.get(name, []), previous.get(name, {})
            assigned = assign_counters(before, resolved.list_fates(name), _read_base(worker))
            counters[name] = assign_media(before, assigned, entries, generation, time.monotonic_ns())
            check_held_regions(name, entries, read_regions(worker.state))
            indices = read_port_indices(worker.state)
            table = build_table(name, entries, indices, counters[name], loaded.config.discover)
            tables.append((worker, table))
        wanted = {
            name: list_memberships(loaded.config, resolved.entries.get(name, [])) for name in self.running
        }
        rules = {
            name: list_flow_rules(loaded.config, resolved.entries.get(name, [])) for name in self.running
        }
        for worker, _ in tables:
            add_memberships(worker, wanted[worker.name])
            add_steering(worker.files, rules[worker.name])
        for worker, table in tables:
            with table:
                publish_table(worker.name, worker.state, table, generation, loaded.digest, worker.is_running)
        for name, worker in self.running.items():
            settle_memberships(worker, wanted[name])
            settle_steering(worker.files, rules[name])
        return counters

    def find_ahead(self, generation: int, digest: str) -> list[str]:
        """The running workers that were offered this generation, or a later one, of another configuration."""
        return [
            name
            for name, worker in self.running.items()
            if (seen := worker.state.read_worker()).published >= generation
            and (seen.published, seen.digest.hex()) != (generation, digest)
        ]

    def find_newest_generation(self) -> int:
        """The highest generation any running worker was offered; 0 where there is none."""
        return max((worker.state.read_worker().published for worker in self.running.values()), default=0)

    def schedule(self, name: str, delay_s: float) -> None:
        """Have the watch call for another start of a worker that ended."""
        self._watch.schedule(name, delay_s)

    def schedule_missing(self, config: Config) -> None:
        """The same, at once, for every worker of `config` that does not run."""
        for worker in config.workers:
            if worker.name not in self.running:
                self._watch.schedule(worker.name, 0)

    def release_all(self) -> None:
        """Let go of every worker without stopping it: the next daemon takes over."""
        for name, worker in self.running.items():
            self._watch.remove(name)
            worker.process.release()
            worker.state.close()
        self.running.clear()


def _is_stale(worker: RunningWorker, generation: int, digest: str) -> bool:
    seen = worker.state.read_worker()
    return (seen.generation, seen.published, seen.digest.hex()) != (generation, generation, digest)


def _read_base(worker: RunningWorker) -> ReadBase:
    def read(index: int) -> tuple[int, int]:
        seen = worker.state.read_route(index)
        return seen.frames, seen.bytes

    return read
