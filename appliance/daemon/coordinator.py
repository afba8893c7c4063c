# SPDX-License-Identifier: Apache-2.0
"""What the control API and the process ask of the control plane, one at a time.

Whatever is refused leaves what was active as it was.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from appliance.config.load import Loaded, parse_config
from appliance.config.plan import build_specs, explain_spec_change, find_restarts
from appliance.daemon.activation import Activation
from appliance.daemon.api import ApplyResult, DaemonStatus, PlannedAction, PlanResult, StatusDocument
from appliance.daemon.folders import Folders
from appliance.daemon.launch import RunningWorker
from appliance.daemon.restarts import Restarts
from appliance.daemon.status import build_status, observe
from appliance.daemon.store import Store, Stored
from appliance.daemon.supervisor import Supervisor
from appliance.daemon.watch import Watch
from appliance.errors import ApplianceError, RefusedAsUnsafe, RestartNeeded
from appliance.telemetry import Observation

_log = logging.getLogger(__name__)

LoadFile = Callable[[], Loaded]
"""Reads the configuration file anew. Raises UsageError or ConfigError."""


class Coordinator:
    """Owns the active configuration and the workers that carry it out. Thread-safe."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._watch = Watch(self._handle_exit, self._handle_due)
        self._workers = Supervisor(folders.runtime, self._watch)
        self._activation = Activation(Store(folders.state), self._workers)
        self._restarts = Restarts(self._activation, self._workers)

    # -- what the control API asks

    def plan(self, text: str, file: str) -> PlanResult:
        """What `apply` would do. Raises ConfigError."""
        staged = parse_config(text, file)
        with self._lock:
            actions = self._activation.plan(staged)
        return PlanResult(actions=tuple(PlannedAction.build(action) for action in actions))

    def apply(self, text: str, file: str, allow_restart: bool = False) -> ApplyResult:
        """Make a configuration active, or refuse it and change nothing.

        Raises ConfigError, RestartNeeded (a worker would stop and `allow_restart` is false), HostError,
        WorkerError, NotAcknowledged, StoreError.
        """
        staged = parse_config(text, file)
        with self._lock:
            return self._apply(staged, allow_restart)

    def _apply(self, staged: Loaded, allow_restart: bool) -> ApplyResult:
        actions = self._activation.plan(staged)
        restarts = find_restarts(actions)
        if restarts and not allow_restart:
            lines = "".join(f"\n  {action}" for action in restarts)
            raise RestartNeeded(
                f"{staged.file}: not applied, because frames would be lost while workers restart; "
                f"to accept that: `appliance apply --allow-restart`{lines}"
            )
        if actions or self._activation.active is None:
            self._activation.carry_out(staged)
        self._activation.problems.pop("configuration", None)
        assert self._activation.active is not None
        return ApplyResult(
            changed=bool(actions),
            generation=self._activation.active.record.generation,
            actions=tuple(PlannedAction.build(action) for action in actions),
        )

    def observe(self, previous: Observation | None = None) -> Observation:
        """Look at every worker. Waits for nobody."""
        active = self._activation.active
        record = active.record if active is not None else None
        return observe(self._folders.runtime, record, self._restarts.count(), previous)

    def build_status(self, previous: Observation | None = None) -> StatusDocument:
        """The status document. Waits for nobody, also not for an `apply` in progress."""
        active = self._activation.active
        daemon = DaemonStatus(running=True, pid=os.getpid())
        problems = [*self._activation.problems.values(), *self._workers.list_kept_settings()]
        return build_status(daemon, active.record if active else None, self.observe(previous), problems)

    # -- what the process asks

    def start(self, load_file: LoadFile) -> None:
        """Take over running workers, or start those of the configuration file.

        Where workers run, they go on and the file is applied only if that restarts none of them; what keeps
        it from being applied is a problem in the status. Where none runs, the last good configuration steps
        in for a file that is refused; without one the error is raised and nothing is left.
        """
        with self._lock:
            self._activation.load()
            adopted = self._take_over()
            if adopted:
                self._resume(adopted)
            self._watch.start()
            try:
                loaded = load_file()
                if adopted:
                    self._apply(loaded, allow_restart=False)
                else:
                    self._activation.carry_out(loaded)
            except ApplianceError as error:
                active = self._activation.active
                if active is None or self._workers.cancelled.is_set():
                    raise
                self._report_not_applied(error)
                if not adopted:
                    self._start_last_good(active)

    def _start_last_good(self, last_good: Stored) -> None:
        if self._workers.running:
            return  # the way back from the refused one has started it
        _log.warning("generation %d, the last good one, is started instead", last_good.record.generation)
        configuration = self._activation.problems["configuration"]
        try:
            self._activation.carry_out(last_good.loaded)
        except BaseException:
            self._activation.abandon()
            raise
        self._activation.problems["configuration"] = configuration

    def _take_over(self) -> list[RunningWorker]:
        """The workers of an earlier daemon that go on; one killed in the middle of a start left others."""
        active = self._activation.active
        specs = build_specs(active.loaded.config) if active is not None else {}
        for worker in self._workers.adopt_all():
            fits = worker.name in specs and explain_spec_change(worker.spec, specs[worker.name]) is None
            if not fits and not worker.has_table:
                self._workers.stop(worker.name)
                self._workers.forget(worker.name)
        return list(self._workers.running.values())

    def _resume(self, adopted: list[RunningWorker]) -> None:
        """Make sure that what runs is what the store says; never by restarting a worker."""
        active, problems = self._activation.active, self._activation.problems
        if active is None:
            pids = " ".join(str(worker.process.pid) for worker in adopted)
            self._workers.release_all()
            raise RefusedAsUnsafe(
                f"{self._folders.runtime}: workers run (process {pids}), but {self._folders.state} does not say "
                f"what for; give the --state-dir they were started with, or stop them: `kill {pids}`"
            )
        specs = build_specs(active.loaded.config)
        for worker in adopted:
            reason: str | None = "no longer in it"
            if worker.name in specs:
                reason = explain_spec_change(worker.spec, specs[worker.name])
            if reason:
                problems[worker.name] = (
                    f"worker {worker.name}: runs on, but differs from the active configuration: {reason}; "
                    "`appliance apply --allow-restart` puts it right"
                )
        self._workers.schedule_missing(active.loaded.config)
        try:
            self._activation.publish_active()
        except ApplianceError as error:
            problems["publish"] = error.message
            _log.error("%s", error.message)

    def reload(self, load_file: LoadFile) -> None:
        """Apply the configuration file again; a refusal is a problem in the status."""
        with self._lock:
            try:
                result = self._apply(load_file(), allow_restart=False)
                _log.info(
                    "%s: generation %d", "changed" if result.changed else "unchanged", result.generation
                )
            except ApplianceError as error:
                self._report_not_applied(error)

    def _report_not_applied(self, error: ApplianceError) -> None:
        self._activation.problems["configuration"] = f"configuration not applied: {error.message}"
        _log.error("configuration not applied: %s", error.message)

    def cancel(self) -> None:
        """Make a start in progress give up."""
        self._workers.cancelled.set()

    def shut_down(self) -> Observation:
        """Stop every worker; returns the final account."""
        self._watch.stop()
        with self._lock:
            self._workers.stop_all()
            final = self.observe()
            self._workers.forget_all()
            return final

    def hand_over(self) -> None:
        """Let the workers run for the next daemon."""
        self._watch.stop()
        with self._lock:
            self._workers.release_all()

    # -- what the watch thread reports

    def _handle_exit(self, name: str) -> None:
        with self._lock:
            self._restarts.handle_exit(name, time.monotonic())

    def _handle_due(self, name: str) -> None:
        with self._lock:
            self._restarts.handle_due(name)
