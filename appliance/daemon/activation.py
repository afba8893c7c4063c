# SPDX-License-Identifier: Apache-2.0
"""How a configuration becomes active: planned → stopped, started, published → committed; or all as before.

Not thread-safe; the coordinator holds its lock around every call.
"""

import logging

from appliance.config.load import Loaded
from appliance.config.plan import (
    Action,
    ActionKind,
    build_specs,
    explain_spec_change,
    plan_changes,
)
from appliance.daemon.interfaces import check_interfaces
from appliance.daemon.store import Generation, Store, Stored
from appliance.daemon.supervisor import Supervisor
from appliance.errors import ApplianceError

_log = logging.getLogger(__name__)

RETRY_S = 5.0
"""Pause before a worker that did not start while something else was applied is tried again."""


class Activation:
    """The active configuration, and the ways it is replaced."""

    def __init__(self, store: Store, workers: Supervisor) -> None:
        self._store = store
        self._workers = workers
        self.active: Stored | None = None
        self.problems: dict[str, str] = {}
        """Subject → sentence; what a worker's or the configuration's next success removes."""

    def load(self) -> None:
        """Read what was active when the last daemon ended. Raises StoreError."""
        self.active = self._store.load()

    def plan(self, staged: Loaded) -> list[Action]:
        """What carrying `staged` out would do to the workers that run and the routes that are active."""
        active = self.active
        if active is None:
            return plan_changes(None, staged.config)
        running = {name: worker.spec for name, worker in self._workers.running.items()}
        actions = plan_changes(active.loaded.config, staged.config, running)
        if not actions and active.loaded.digest != staged.digest:
            reason = "no worker, port or route differs"
            return [Action(kind=ActionKind.RECORD_TEXT, subject=staged.file, reason=reason)]
        return actions

    def carry_out(self, staged: Loaded) -> None:
        """Make `staged` active. On failure everything is as before, and the reason is raised."""
        previous = self.active
        running = self._workers.running
        specs = build_specs(staged.config)
        down = self._find_down(staged)
        check_interfaces(
            spec
            for name, spec in specs.items()
            if name not in down
            and (name not in running or explain_spec_change(running[name].spec, spec) is not None)
        )
        same = previous is not None and previous.loaded.digest == staged.digest
        generation = previous.record.generation if previous is not None and same else self._next_generation()
        self._store.stage(staged.text)
        try:
            self._install(staged, generation, down)
        except BaseException:
            self._roll_back(previous)
            raise
        finally:
            self._store.unstage()
        _log.info("generation %d is active, from %s", generation, staged.file)

    def _find_down(self, staged: Loaded) -> frozenset[str]:
        """Workers that are down although they should run, and that `staged` does not change.

        One that cannot start must not keep the others from getting new routes.
        """
        if self.active is None or not self._workers.running:
            return frozenset()
        before, after = build_specs(self.active.loaded.config), build_specs(staged.config)
        return frozenset(
            name
            for name in after.keys() & before.keys() - self._workers.running.keys()
            if explain_spec_change(before[name], after[name]) is None
        )

    def publish_active(self) -> None:
        """Give running workers the active table, under a new generation where one has seen this number."""
        assert self.active is not None
        loaded, record = self.active.loaded, self.active.record
        if self._workers.find_ahead(record.generation, loaded.digest):
            generation = self._next_generation()
            _log.warning("generation %d is published again as %d", record.generation, generation)
            record = record.model_copy(update={"generation": generation})
        published = self._workers.publish(loaded, record.generation, record.worker_counters)
        counters = {**record.worker_counters, **published}
        self._commit(loaded, record.model_copy(update={"worker_counters": counters}))

    def restart(self, name: str) -> None:
        """Start a worker of the active configuration that ended by itself, and give it its table."""
        active = self.active
        specs = build_specs(active.loaded.config) if active is not None else {}
        if active is None or name not in specs or name in self._workers.running:
            return
        self._workers.start(specs[name])
        # Its counters begin at 0 again.
        counters = {worker: of for worker, of in active.record.worker_counters.items() if worker != name}
        self.active = Stored(active.loaded, active.record.model_copy(update={"worker_counters": counters}))
        self.publish_active()
        self.problems.pop(name, None)

    def abandon(self) -> None:
        """Stop every worker and leave nothing behind."""
        self._workers.stop_all()
        self._workers.forget_all()

    def _install(self, target: Loaded, generation: int, down: frozenset[str] = frozenset()) -> None:
        """Stop, start and publish until the workers are those of `target`, then commit.

        A worker of `down` that does not start is tried again later.
        """
        specs = build_specs(target.config)
        running = self._workers.running
        counters = dict(self.active.record.worker_counters) if self.active is not None else {}
        for name in list(running):
            if name not in specs or explain_spec_change(running[name].spec, specs[name]):
                self._workers.stop(name)
                self._workers.forget(name)
        failed: dict[str, ApplianceError] = {}
        for name, spec in specs.items():
            if name in running:
                continue
            counters.pop(name, None)
            try:
                self._workers.start(spec)
            except ApplianceError as error:
                if name not in down:
                    raise
                failed[name] = error
        published = self._workers.publish(target, generation, counters)
        record = Generation(
            generation=generation,
            digest=target.digest,
            configured=target.file,
            worker_counters=published,
            discover=target.config.discover,
        )
        self._commit(target, record)
        self.problems.clear()
        for name, failure in failed.items():
            self.problems[name] = failure.message
            self._workers.schedule(name, RETRY_S)

    def _commit(self, loaded: Loaded, record: Generation) -> None:
        self._store.save(loaded, record)
        self.active = Stored(loaded, record)

    def _roll_back(self, previous: Stored | None) -> None:
        """Back to what was active. What cannot be brought back is a problem, and tried again."""
        if previous is None or self._workers.cancelled.is_set():
            self.abandon()
            return
        ahead = self._workers.find_ahead(previous.record.generation, previous.loaded.digest)
        generation = self._next_generation() if ahead else previous.record.generation
        try:
            self._install(previous.loaded, generation)
        except ApplianceError as error:
            text = f"the way back to generation {previous.record.generation} failed: {error.message}"
            self.problems["rollback"] = text
            _log.error("%s", text)
            self._workers.schedule_missing(previous.loaded.config)

    def _next_generation(self) -> int:
        recorded = self.active.record.generation if self.active is not None else 0
        return max(recorded, self._workers.find_newest_generation()) + 1
