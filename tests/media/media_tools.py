# SPDX-License-Identifier: Apache-2.0
"""Run `media-send` and `media-receive` (native/tools) and read what they print.

Both print one JSON object a line; a `MediaProcess` keeps the newest, so that a caller can look at progress at
any time, and returns the report when the process ends.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_net import LabNet, Namespace, Niceness, favour

EDITABLE = Path(__file__).resolve().parents[2] / "build" / "editable"
TOOLS_DIR_VARIABLE = "MEDIA_TOOLS_DIR"

Report = dict[str, Any]


class MediaToolError(Exception):
    """A tool is not built, refused its command line, or ended without a report."""


@dataclass(frozen=True)
class MediaSource:
    """What is sent: a capture file, or `seconds` of generated video of a `format`.

    `group` and `udp_port` are those of generated video; `vlan` and `inner_vlan` are put on every frame.
    """

    capture: Path | None = None
    format: str | None = None
    seconds: float = 1.0
    group: str = "239.20.1.1"
    udp_port: int = 20000
    vlan: int | None = None
    inner_vlan: int | None = None

    def arguments(self) -> list[str]:
        """As command line options of either tool."""
        tags = []
        for option, tag in (("--vlan", self.vlan), ("--inner-vlan", self.inner_vlan)):
            tags += [option, str(tag)] if tag is not None else []
        if self.capture is not None:
            return ["--capture", str(self.capture), *tags]
        flow = ["--group", self.group, "--udp-port", str(self.udp_port)]
        return ["--format", str(self.format), "--seconds", str(self.seconds), *flow, *tags]


@cache
def rebuild_tools() -> Path:
    """Bring the editable build's tools up to date, as importing the package does for the extension; their folder."""
    targets = [f"native/tools/{name}" for name in ("media-send", "media-receive")]
    ninja = Path(sys.executable).parent / "ninja"
    if ninja.exists() and (EDITABLE / "build.ninja").exists():
        done = subprocess.run([ninja, "-C", EDITABLE, *targets], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise MediaToolError(f"ninja -C {EDITABLE}: {done.stdout[-2000:]}{done.stderr}")
    return EDITABLE / "native" / "tools"


def find_tool(name: str) -> str:
    """Path of a built tool, from MEDIA_TOOLS_DIR or the editable build; MediaToolError where it is not."""
    folder = os.environ.get(TOOLS_DIR_VARIABLE)
    path = Path(folder) / name if folder else rebuild_tools() / name
    if not path.is_file():
        raise MediaToolError(f"{path} does not exist; run make setup, or set {TOOLS_DIR_VARIABLE}")
    return str(path)


class MediaProcess:
    """A running tool. `progress` is the newest line it printed, {} before the first."""

    def __init__(self, command: Sequence[str], niceness: Niceness, cpu: int | None = None) -> None:
        self.progress: Report = {}
        self._report: Report | None = None
        self._ready = threading.Event()
        self._command = command
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        favour(self._process.pid, niceness)
        if cpu is not None:
            os.sched_setaffinity(self._process.pid, {cpu})
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            record: Report = json.loads(line)
            if record["event"] == "ready":
                self._ready.set()
                continue
            self.progress = record
            if record["event"] == "report":
                self._report = record
        self._ready.set()

    def wait_ready(self, timeout_s: float = 10) -> None:
        """Until a receiver listens; MediaToolError where it ended instead."""
        if not self._ready.wait(timeout_s) or self._process.poll() is not None:
            self.stop()
            raise MediaToolError(f"{' '.join(self._command)}: did not get ready: {self._errors()}")

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def report(self, timeout_s: float = 60) -> Report:
        """Wait for the end; the report. MediaToolError where it printed none or does not end."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise MediaToolError(f"{' '.join(self._command)}: still running after {timeout_s} s") from None
        self._reader.join()
        if self._report is None:
            raise MediaToolError(f"{' '.join(self._command)}: exit {self.exit_code}: {self._errors()}")
        return self._report

    def stop(self) -> None:
        """Ask it to end; `report` then has what it saw until now."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def suspend(self) -> None:
        """Stop it where it is; `resume` lets it go on."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._process.send_signal(signal.SIGCONT)

    def finish(self, patience_s: float = 3.0) -> Report:
        """The report of a witness after the sender ended: what is still on its way gets `patience_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self.stop()
        return self.report()

    def _errors(self) -> str:
        if self._process.poll() is None or self._process.stderr is None:
            return "no message"
        return self._process.stderr.read().strip() or "no message"


def start_sender(
    net: LabNet,
    namespace: Namespace,
    interface: str,
    source: MediaSource,
    *,
    speed: float = 1.0,
    cpu: int | None = None,
) -> MediaProcess:
    """Start sending `source` out of `interface`; speed 1 is real time, 0 as fast as it goes."""
    options = ["--interface", interface, "--speed", str(speed), "--report-interval", "0.1"]
    command = [find_tool("media-send"), *options, *source.arguments()]
    return MediaProcess(net.command(namespace, command), Niceness.SENDER, cpu)


def start_receiver(
    net: LabNet, namespace: Namespace, interface: str, source: MediaSource, expect: Sequence[str]
) -> MediaProcess:
    """Start a witness for flows ("group" or "group:port") of `source`, and wait until it listens.

    With something to expect it ends by itself once all of it came; with nothing it runs until `stop`.
    """
    options = ["--interface", interface, "--report-interval", "0.25"]
    for flow in expect:
        options += ["--expect", flow]
    if expect:
        options.append("--expect-all")
    command = [find_tool("media-receive"), *options, *source.arguments()]
    process = MediaProcess(net.command(namespace, command), Niceness.WITNESS)
    process.wait_ready()
    return process
