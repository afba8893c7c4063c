# SPDX-License-Identifier: Apache-2.0
"""A real appliance over memory: ports: daemon and workers are processes, nothing is mocked, nobody needs root."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.status import find_exit_code, read_status
from appliance.daemon.folders import Folders

Document = dict[str, Any]
LIMIT_S = 60.0

CONFIG = """\
version: 1
ports:
  - {name: red-in, device: "memory:a"}
  - {name: red-out, device: "memory:b"}
  - {name: blue-out, device: "memory:c"}
routes:
  - name: camera-1
    match: {port: red-in, group: 239.1.2.1, udp_port: 6000}
    outputs: [red-out]
"""
OTHER_ROUTES = CONFIG.replace("239.1.2.1", "239.1.2.2").replace("[red-out]", "[red-out, blue-out]")
OTHER_PORTS = CONFIG.replace("memory:c", "memory:d")


class Appliance:
    """Folders, a configuration file, and at most one daemon of this test."""

    def __init__(self, folder: Path) -> None:
        self.runtime, self.state = folder / "run", folder / "state"
        self.config, self.log = folder / "config.yaml", folder / "daemon.log"
        self.config.write_text(CONFIG)
        self.daemon: subprocess.Popen[bytes] | None = None
        self._pids: set[int] = set()

    def command(self, *arguments: str) -> list[str]:
        folders = ["--runtime-dir", str(self.runtime)]
        if arguments[0] in ("run", "status"):
            folders += ["--state-dir", str(self.state)]
        return [sys.executable, "-P", "-m", "appliance.cli.main", *arguments, *folders]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def apply(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Write the configuration file and apply it."""
        self.config.write_text(text)
        return self.call("apply", str(self.config), *options)

    def status(self) -> tuple[int, Document]:
        """What `status --json` exits with and prints, without a process of its own: they are slow to start."""
        found = read_status(Folders(self.runtime, self.state))
        self._pids |= {worker.pid for worker in found.workers if worker.alive}
        return find_exit_code(found), found.model_dump(mode="json")

    def launch(self) -> None:
        """Start a daemon, do not wait."""
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                self.command("run", "--config", str(self.config)),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> Document:
        """Start a daemon and wait until it answers; the status."""
        before = self.output().count("ready, control socket")
        self.launch()
        self.wait_until(lambda: self.output().count("ready, control socket") > before, "ready")
        return self.status()[1]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait; fails with the daemon's log where it ends or LIMIT_S pass."""
        end_s = time.monotonic() + LIMIT_S
        while not condition():
            ended = self.daemon is not None and self.daemon.poll() is not None and not condition()
            assert not ended, f"the daemon ended before it was {what}: {self.output()}"
            assert time.monotonic() < end_s, f"not {what}: {self.output()}"
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the daemon and wait for its end; the exit code."""
        assert self.daemon is not None
        self.daemon.send_signal(number)
        return self.daemon.wait(LIMIT_S)

    def output(self) -> str:
        """What its daemons printed."""
        return self.log.read_text() if self.log.exists() else ""

    def clean_up(self) -> None:
        """Nothing this test started is left."""
        with contextlib.suppress(Exception):
            self.status()  # learns the pids of workers
        if self.daemon is not None and self.daemon.poll() is None:
            self.end(signal.SIGTERM)
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                command = Path(f"/proc/{pid}/cmdline")
                if command.exists() and str(self.runtime).encode() in command.read_bytes():
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    """Not started."""
    made = Appliance(tmp_path)
    yield made
    made.clean_up()


@pytest.fixture
def running(appliance: Appliance) -> Appliance:
    """Started with CONFIG: generation 1."""
    appliance.start()
    return appliance


@pytest.fixture
def texts() -> dict[str, str]:
    """The configurations of these tests by name."""
    return {"base": CONFIG, "routes": OTHER_ROUTES, "ports": OTHER_PORTS}
