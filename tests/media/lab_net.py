# SPDX-License-Identifier: Apache-2.0
"""Network namespaces joined by veth pairs, for tests and demo.

    with LabNet("demo") as net:
        sender, appliance = net.add_namespace("sender"), net.add_namespace("appliance")
        net.connect(sender, "out0", appliance, "in0")
        process = net.start(sender, ["media-send", ...])

Names carry this process's id, so two runs never meet. Leaving the block ends every process that still runs in
these namespaces and removes them, also after an error. Nothing outside them is touched.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

MTU_BYTES = 1500
"""What studio switches are set to for ST 2110; and XDP on veth wants a frame to fit a page."""

_run_number = count(1)


class LabNetError(Exception):
    """A namespace or link could not be made; the text says which command failed and why."""


@dataclass(frozen=True)
class Namespace:
    """One network namespace: `role` is its part in the lab, `name` what `ip netns` calls it."""

    role: str
    name: str


class Niceness(IntEnum):
    """Nice values that keep a busy machine's other work out of the verdict: late forwarding is loss.

    A late witness loses only when its ring is full, a late sender only sends later.
    """

    APPLIANCE = -20
    WITNESS = -15
    SENDER = -10


def favour(pid: int, niceness: Niceness) -> None:
    """Let a process go before others; one that is gone already is left alone."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        # sched(7), "The autogroup feature": between sessions only this file counts, and each of ours has its own.
        autogroup = Path(f"/proc/{pid}/autogroup")
        if autogroup.exists():
            autogroup.write_text(str(int(niceness)))


def reason_not_available() -> str | None:
    """Why no namespace can be made here, or None where they can."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces; run it with sudo"
    probe = f"sbypass-probe-{os.getpid()}"
    try:
        _run(["ip", "netns", "add", probe])
        _run(["ip", "netns", "del", probe])
    except LabNetError as error:
        return f"cannot make network namespaces: {error}"
    return None


@dataclass
class LabNet:
    """Namespaces and veth pairs of one run. Use as a context manager."""

    purpose: str
    namespaces: list[Namespace] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._prefix = f"sbypass-{self.purpose}-{os.getpid()}-{next(_run_number)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_namespace(self, role: str) -> Namespace:
        """Make a namespace: loopback up, no IPv6 (its neighbour discovery would mix with the media)."""
        namespace = Namespace(role, f"{self._prefix}-{role}")
        _run(["ip", "netns", "add", namespace.name])
        self.namespaces.append(namespace)
        if Path("/proc/sys/net/ipv6").exists():
            settings = [f"net.ipv6.conf.{scope}.disable_ipv6=1" for scope in ("all", "default")]
            self.run(namespace, ["sysctl", "-qw", *settings])
        _run(["ip", "-n", namespace.name, "link", "set", "lo", "up"])
        return namespace

    def connect(self, left: Namespace, left_name: str, right: Namespace, right_name: str) -> None:
        """Join two namespaces by a veth pair, both ends up, frames unchanged by offloads.

        VLAN offloads off: tags stay in the frame, where an XDP program can see them (and where real NICs must
        leave them for netmap). GRO off: no frame is merged or held back.
        """
        pair = ["type", "veth", "peer", "name", right_name, "netns", right.name]
        _run(["ip", "-n", left.name, "link", "add", left_name, "mtu", str(MTU_BYTES), *pair])
        for namespace, name in ((left, left_name), (right, right_name)):
            _run(["ip", "-n", namespace.name, "link", "set", name, "mtu", str(MTU_BYTES), "up"])
            offloads = ["gro", "off", "gso", "off", "tso", "off", "rxvlan", "off", "txvlan", "off"]
            self.run(namespace, ["ethtool", "-K", name, *offloads])

    def remove_link(self, namespace: Namespace, name: str) -> None:
        """Delete an interface (and its peer)."""
        _run(["ip", "-n", namespace.name, "link", "del", name])

    def command(self, namespace: Namespace, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` inside the namespace, by exec: its process id stays."""
        return ["ip", "netns", "exec", namespace.name, *command]

    def run(self, namespace: Namespace, command: Sequence[str]) -> str:
        """Run to the end inside the namespace; standard output, LabNetError where it fails."""
        return _run(self.command(namespace, command))

    def read_dropped_frames(self, namespace: Namespace, name: str) -> int:
        """Frames that arrived at an interface and found no room: in its own queue or its reader's ring."""
        (link,) = json.loads(_run(["ip", "-n", namespace.name, "-s", "-j", "link", "show", name]))
        return int(link["stats64"]["rx"]["dropped"])

    def process_ids(self, namespace: Namespace) -> list[int]:
        """Processes that run inside the namespace now."""
        return [int(pid) for pid in _run(["ip", "netns", "pids", namespace.name]).split()]

    def close(self) -> None:
        """End what runs in the namespaces and remove them; may be called twice."""
        while self.namespaces:
            namespace = self.namespaces.pop()
            with contextlib.suppress(LabNetError):
                self._end_processes(namespace)
                _run(["ip", "netns", "del", namespace.name])

    def _end_processes(self, namespace: Namespace) -> None:
        # SIGTERM first, so that ports are closed in order; what is left after a second is killed.
        for number, patience_s in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            for pid in self.process_ids(namespace):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            end_s = time.monotonic() + patience_s
            while time.monotonic() < end_s and self.process_ids(namespace):
                time.sleep(0.02)


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise LabNetError(f"{command[0]} is not installed; run make setup") from None
    if done.returncode != 0:
        reason = done.stderr.strip() or f"exit code {done.returncode}"
        raise LabNetError(f"{' '.join(command)}: {reason}")
    return done.stdout
