# SPDX-License-Identifier: Apache-2.0
"""One thread that notices ended worker processes by their pidfds, and keeps appointments."""

import logging
import os
import select
import threading
import time
from collections.abc import Callable

from appliance.host.processes import Process

_log = logging.getLogger(__name__)

_POLL_MAX_MS = 60_000


def _call(report: Callable[[str], None], name: str) -> None:
    try:
        report(name)
    except Exception:
        # A defect in one report must not leave every other worker unwatched.
        _log.exception("worker %s: not looked after", name)


class Watch(threading.Thread):
    """Calls `on_exit(name)` when a watched process ends, `on_due(name)` when an appointment comes.

    Both run in this thread, one at a time. A process is reported once.
    """

    def __init__(self, on_exit: Callable[[str], None], on_due: Callable[[str], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._on_exit = on_exit
        self._on_due = on_due
        self._guard = threading.Lock()
        self._processes: dict[str, Process] = {}
        self._due_s: dict[str, float] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopping = False

    def add(self, name: str, process: Process) -> None:
        """Watch a process, and forget the appointment of its name."""
        with self._guard:
            self._processes[name] = process
            self._due_s.pop(name, None)
        os.eventfd_write(self._wake, 1)

    def remove(self, name: str) -> None:
        """Stop watching; before the pidfd is closed."""
        with self._guard:
            self._processes.pop(name, None)
            self._due_s.pop(name, None)
        os.eventfd_write(self._wake, 1)

    def schedule(self, name: str, delay_s: float) -> None:
        """Call `on_due(name)` after `delay_s`, unless the name is added or removed before."""
        with self._guard:
            self._due_s[name] = time.monotonic() + delay_s
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """End the thread; from another one."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            for name in self._wait_for_exits():
                _call(self._on_exit, name)
            for name in self._take_due():
                _call(self._on_due, name)

    def _wait_for_exits(self) -> list[str]:
        with self._guard:
            names = {process.pidfd: name for name, process in self._processes.items()}
            due = min(self._due_s.values(), default=None)
        poll = select.poll()
        for descriptor in (self._wake, *names):
            poll.register(descriptor, select.POLLIN)
        wait_ms = _POLL_MAX_MS if due is None else max(0, min(_POLL_MAX_MS, (due - time.monotonic()) * 1000))
        ready = [descriptor for descriptor, _ in poll.poll(wait_ms)]
        if self._wake in ready:
            os.eventfd_read(self._wake)
        ended = [names[descriptor] for descriptor in ready if descriptor in names]
        with self._guard:
            return [name for name in ended if self._processes.pop(name, None) is not None]

    def _take_due(self) -> list[str]:
        now = time.monotonic()
        with self._guard:
            names = [name for name, due in self._due_s.items() if due <= now]
            for name in names:
                del self._due_s[name]
        return names
