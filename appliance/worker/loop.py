# SPDX-License-Identifier: Apache-2.0
"""The loop thread: pinned to its CPU, inside C from start to stop, without the interpreter's lock."""

import os
import signal
import threading

from appliance.errors import ApplianceError
from appliance.fastpath import LoopWorker


class LoopThread:
    """Runs a `LoopWorker` and sends `end_signal` to the main thread when it is done, for whatever reason."""

    def __init__(self, worker: LoopWorker, cpu: int | None, end_signal: signal.Signals) -> None:
        self._worker = worker
        self._cpu = cpu
        self._end_signal = end_signal
        self._waiter = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="loop")
        self._ended = False
        self.failure: str | None = None

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for the end of the loop."""
        self._thread.join()

    def join_if_ending(self) -> None:
        """After `end_signal`: wait where the loop sent it; go on where it came from elsewhere."""
        if self._ended:
            self._thread.join()

    def _run(self) -> None:
        try:
            if self._cpu is not None:
                pin_thread(self._cpu)
            self._worker.run()
        except ApplianceError as error:
            self.failure = error.message
        finally:
            self._ended = True
            signal.pthread_kill(self._waiter, self._end_signal)


def pin_thread(cpu: int) -> None:
    """Bind the calling thread to one CPU. ApplianceError names the CPUs there are."""
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        allowed = ", ".join(str(number) for number in sorted(os.sched_getaffinity(0)))
        message = f"cpu {cpu} cannot be used ({error.strerror}); this process may use CPU {allowed}"
        raise ApplianceError(message) from error
