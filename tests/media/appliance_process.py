# SPDX-License-Identifier: Apache-2.0
"""A real appliance (daemon and workers) in a network namespace, run by its own command line.

    appliance = ApplianceProcess(net, namespace, folder)
    appliance.start(config_text)       # returns when it forwards
    appliance.status()                 # what `appliance status --json` says, with its exit code
    appliance.stop()                   # SIGTERM; the final account it printed

Files live in `folder`; the environment variables of the product point there.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from lab_net import LabNet, Namespace, Niceness, favour

Document = dict[str, Any]

START_TIMEOUT_S = 60.0
"""Generous: an editable install may rebuild the extension, on a busy machine."""


class ApplianceProcessError(Exception):
    """The appliance did not do what the lab needs; the text has what it printed."""


@dataclass(frozen=True)
class StatusAnswer:
    """Exit code, document and messages of `appliance status --json`."""

    exit_code: int
    document: Document
    errors: str


class ApplianceProcess:
    """One appliance. At most one daemon at a time is held here; workers are its children or adopted by it."""

    def __init__(self, net: LabNet, namespace: Namespace, folder: Path) -> None:
        self._net, self._namespace, self._folder = net, namespace, folder
        self.runtime_dir, self.state_dir = folder / "run", folder / "state"
        self.config = folder / "config.yaml"
        self.account, self.log = folder / "daemon.out", folder / "daemon.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        for path in (self.runtime_dir, self.state_dir):
            path.mkdir(parents=True, exist_ok=True)

    # ---- its command line

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `appliance ARGUMENTS` to its end, inside the namespace; never raises for an exit code."""
        return subprocess.run(
            self._command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self._environment(),
        )

    def status(self) -> StatusAnswer:
        """What `appliance status --json` says now."""
        done = self.run("status", "--json")
        try:
            document: Document = json.loads(done.stdout)
        except json.JSONDecodeError:
            raise ApplianceProcessError(f"status --json: exit {done.returncode}: {done.stderr}") from None
        return StatusAnswer(done.returncode, document, done.stderr)

    def apply(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Write the configuration and `appliance apply` it."""
        self.config.write_text(text)
        done = self.run("apply", str(self.config), *options)
        favour_workers(self.fetch_status())  # it may have started others
        return done

    # ---- its life

    def start(self, text: str) -> None:
        """Write the configuration, start the daemon, wait until its workers forward by it."""
        self.config.write_text(text)
        self.start_daemon()
        self.wait_until(_forwards, "forwarding")

    def start_daemon(self) -> None:
        """Start the daemon with the configuration as it is; does not wait."""
        with self.account.open("ab") as account, self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                self._command("run", "--config", str(self.config)),
                stdin=subprocess.DEVNULL,
                stdout=account,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )

    def stop(self, timeout_s: float = 20, number: signal.Signals = signal.SIGTERM) -> str:
        """SIGTERM (or another signal) to the daemon; what it printed on standard output: the final account."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.send_signal(number)
            try:
                self._daemon.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                raise ApplianceProcessError(
                    f"still there {timeout_s} s after {number.name}: {self.output()}"
                ) from None
        return self.account.read_text() if self.account.exists() else ""

    def kill_daemon(self) -> None:
        """`kill -9` of the daemon alone."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()

    @property
    def exit_code(self) -> int | None:
        """Of the daemon started last; None while it runs."""
        return None if self._daemon is None else self._daemon.poll()

    def output(self) -> str:
        """What its daemons printed until now: messages, then the account."""
        return "".join(path.read_text() for path in (self.log, self.account) if path.exists())

    # ---- looking at it

    def fetch_status(self) -> Document | None:
        """The same document from the control socket, without a new process; None where no daemon answers."""
        transport = httpx.HTTPTransport(uds=str(self.runtime_dir / "control.sock"))
        with contextlib.suppress(httpx.HTTPError), httpx.Client(transport=transport, timeout=5) as client:
            answer = client.get("http://appliance/v1/status")
            if answer.status_code == httpx.codes.OK:
                document: Document = answer.json()
                return document
        return None

    def wait_until(
        self, condition: Callable[[Document], bool], what: str, timeout_s: float = START_TIMEOUT_S
    ) -> Document:
        """Wait until the status fulfils `condition`; the document. Raises where the daemon ends or is late."""
        end_s = time.monotonic() + timeout_s
        document: Document | None = None
        while time.monotonic() < end_s:
            document = self.fetch_status()
            if document is not None and condition(document):
                favour_workers(document)
                return document
            if self.exit_code is not None:
                raise ApplianceProcessError(f"appliance run ended with {self.exit_code}: {self.output()}")
            time.sleep(0.05)
        raise ApplianceProcessError(f"not {what} after {timeout_s} s: {document}\n{self.output()}")

    def worker_pid(self, name: str = "main") -> int:
        """Process id of a worker."""
        document = self.fetch_status() or self.status().document
        return next(int(worker["pid"]) for worker in document["workers"] if worker["name"] == name)

    def _command(self, *arguments: str) -> list[str]:
        # Beside this interpreter, not resolved: the venv's.
        executable = Path(sys.executable).parent / "appliance"
        if not executable.exists():
            raise ApplianceProcessError(f"{executable} does not exist; run make setup")
        return self._net.command(self._namespace, [str(executable), *arguments])

    def _environment(self) -> dict[str, str]:
        # The venv first: an editable install calls its ninja.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {
            **os.environ,
            "PATH": path,
            "APPLIANCE_RUNTIME_DIR": str(self.runtime_dir),
            "APPLIANCE_STATE_DIR": str(self.state_dir),
        }


def favour_workers(document: Document | None) -> None:
    """Let the workers of a status document go before everything else on a busy machine."""
    for worker in document["workers"] if document is not None else []:
        favour(int(worker["pid"]), Niceness.APPLIANCE)


def _forwards(document: Document) -> bool:
    workers = document["workers"]
    fresh = all(worker["running"] and worker["generation"] == worker["published"] > 0 for worker in workers)
    return bool(workers) and fresh


def ingress_account(document: Document, port: str) -> tuple[int, int, dict[str, int]]:
    """(received, forwarded, dropped by reason where not 0) of one port of a status document."""
    record = next(record for record in document["ports"] if record["name"] == port)
    dropped = {reason: int(frames) for reason, frames in record["dropped_frames"].items() if frames}
    return int(record["received_frames"]), int(record["forwarded_frames"]), dropped
