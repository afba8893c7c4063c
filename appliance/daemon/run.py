# SPDX-License-Identifier: Apache-2.0
"""The daemon process: one lock, one socket, five signals.

SIGTERM and SIGINT stop the workers and end; SIGUSR1 ends and leaves the workers to the next daemon; SIGHUP
applies the configuration file again. SIGKILL is survived by the workers, and repaired by the next start.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from appliance.config.load import load_config
from appliance.daemon.control import build_app
from appliance.daemon.coordinator import Coordinator
from appliance.daemon.folders import DaemonLock, Folders
from appliance.errors import ApplianceError, HostError
from appliance.telemetry import Observation

_log = logging.getLogger(__name__)

# Problems in the status are those of the last one to two of these.
SAMPLE_PERIOD_S = 5.0
_GRACE_S = 5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_daemon(folders: Folders, config: Path) -> Observation | None:
    """Be the daemon until a signal ends it. Returns the final account; None after a hand-over.

    Raises AlreadyRunning, and whatever keeps the configuration from becoming active for the first time;
    then no worker and no socket is left.
    """
    # Given once, kept whatever the folder: SIGHUP reads the same file again.
    config = config.absolute()
    lock = DaemonLock(folders)
    try:
        folders.socket.unlink(missing_ok=True)
        return asyncio.run(_Daemon(folders, config).run())
    finally:
        folders.socket.unlink(missing_ok=True)
        lock.release()


class _Daemon:
    """The event loop's side: signals in, HTTP served, the coordinator's blocking work in threads."""

    def __init__(self, folders: Folders, config: Path) -> None:
        self._folders = folders
        self._config = config
        self._coordinator = Coordinator(folders)
        self._ending = asyncio.Event()
        self._hand_over = False
        self._samples: tuple[Observation | None, Observation | None] = (None, None)
        self._reloads: set[asyncio.Task[None]] = set()

    async def run(self) -> Observation | None:
        self._install_signals()
        try:
            await asyncio.to_thread(self._coordinator.start, lambda: load_config(self._config))
        except ApplianceError:
            if self._ending.is_set() and not self._hand_over:
                return await asyncio.to_thread(self._coordinator.shut_down)
            await asyncio.to_thread(self._coordinator.hand_over)  # nothing runs that this start began
            raise
        await self._serve_until_ending()
        if self._hand_over:
            await asyncio.to_thread(self._coordinator.hand_over)
            return None
        return await asyncio.to_thread(self._coordinator.shut_down)

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._end, number, False)
        loop.add_signal_handler(signal.SIGUSR1, self._end, signal.SIGUSR1, True)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _end(self, number: signal.Signals, hand_over: bool) -> None:
        if not self._ending.is_set():
            what = "leaving the workers running" if hand_over else "stopping the workers"
            _log.info("%s: %s", number.name, what)
            self._hand_over = hand_over
        self._ending.set()
        if not hand_over:
            self._coordinator.cancel()

    def _reload(self) -> None:
        _log.info("SIGHUP: applying %s again", self._config)
        load = asyncio.to_thread(self._coordinator.reload, lambda: load_config(self._config))
        task = asyncio.get_running_loop().create_task(load)
        self._reloads.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._reloads.discard)

    async def _serve_until_ending(self) -> None:
        app = build_app(self._coordinator, lambda: self._samples[0])
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_S
        )
        server = _Server(config)
        with _bind(self._folders.socket) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            sampling = asyncio.create_task(self._sample())
            _log.info("ready, control socket %s", self._folders.socket)
            ending = asyncio.create_task(self._ending.wait())
            await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            sampling.cancel()
            await serving

    async def _sample(self) -> None:
        while True:
            seen = await asyncio.to_thread(self._coordinator.observe)
            self._samples = (self._samples[1], seen)
            await asyncio.sleep(SAMPLE_PERIOD_S)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: this process has its own meaning for each."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _bind(path: Path) -> Iterator[socket.socket]:
    """The listening socket, mode 0660 from the first moment. The lock is held, so an old file is a dead one."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        except OSError as error:
            raise HostError(f"{path}: {error.strerror}; choose another --runtime-dir") from error
        finally:
            os.umask(before)
        listener.listen()
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
