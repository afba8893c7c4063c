# SPDX-License-Identifier: Apache-2.0
"""Workers that end by themselves come back: at once the first time, later and later while they keep dying."""

import logging
from dataclasses import dataclass

from appliance.daemon.activation import Activation
from appliance.daemon.supervisor import Supervisor
from appliance.errors import ApplianceError

_log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
# A worker that ran this long is healthy: when it ends, the next start comes as soon as the first.
HEALTHY_AFTER_S = 60.0


@dataclass(slots=True)
class History:
    """How one worker fared. `failures` counts ends and failed starts since it was last healthy."""

    restarts: int = 0
    failures: int = 0


def compute_delay_s(failures: int) -> float:
    """Seconds until the next start after so many failures in a row (1 for the first)."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (max(1, failures) - 1))


class Restarts:
    """Brings ended workers back. Not thread-safe; the coordinator holds its lock around every call."""

    def __init__(self, activation: Activation, workers: Supervisor) -> None:
        self._activation = activation
        self._workers = workers
        self._histories: dict[str, History] = {}

    def count(self) -> dict[str, int]:
        """Worker → how often this daemon started it again."""
        return {name: history.restarts for name, history in list(self._histories.items())}

    def handle_exit(self, name: str, now_s: float) -> None:
        """A worker's process ended; `now_s` is CLOCK_MONOTONIC."""
        ended = self._workers.take_ended(name)
        if ended is None:
            return
        worker, failure = ended
        if now_s - worker.since_s >= HEALTHY_AFTER_S:
            self._histories.pop(name, None)
        self._try_later(name, failure)

    def handle_due(self, name: str) -> None:
        """The time for another start has come."""
        try:
            self._activation.restart(name)
        except ApplianceError as error:
            if name not in self._workers.running:
                self._try_later(name, error)
                return
            self._activation.problems[name] = error.message
            _log.error("%s", error.message)
            return
        if name in self._workers.running:
            self._histories.setdefault(name, History()).restarts += 1

    def _try_later(self, name: str, failure: ApplianceError) -> None:
        history = self._histories.setdefault(name, History())
        history.failures += 1
        delay_s = compute_delay_s(history.failures)
        text = (
            f"{failure.message}; its frames are lost until it runs again, next start in {delay_s:g} s "
            f"(failure {history.failures})"
        )
        self._activation.problems[name] = text
        _log.error("%s", text)
        self._workers.schedule(name, delay_s)
