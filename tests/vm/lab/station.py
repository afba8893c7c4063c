# SPDX-License-Identifier: Apache-2.0
"""A computer of the lab at a cable's end: a network namespace, its TAP device joined to the guest's NIC.

So real programs (ssh, ptp4l) speak to the guest on the cable that carries the media. Needs root.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.errors import LabError
from lab.wire import Wire

# linux/if_tun.h
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_LONGEST_FRAME_BYTES = 65536
_BROADCAST = b"\xff" * 6
IGMP_REPORTS = bytes.fromhex("01005e000016")
"""224.0.0.22, where IGMPv3 reports go (RFC 3376, 4.2.14)."""
# IEEE 1588-2008, annexes D.3 and F.3: 224.0.1.129 and 224.0.0.107, and those of PTP without IP.
_PTP_GROUPS = frozenset(
    bytes.fromhex(address) for address in ("01005e000181", "01005e00006b", "011b19000000", "0180c200000e")
)


class Station:
    """One namespace with one Ethernet device; `name` is a port's, so that two of a run never meet."""

    def __init__(self, name: str, mac: str, address: str) -> None:
        self.namespace = f"lab-{os.getpid()}-{name}"
        self.reports: list[bytes] = []
        """IGMPv3 reports the guest sent, in order."""
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._wire: Wire | None = None
        self._tap = _open_tap(device := f"lab{os.getpid()}{name}"[:15])
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._send_all, name=f"station {name}", daemon=True)
        _run("ip", "netns", "add", self.namespace)
        try:
            _run("ip", "link", "set", device, "netns", self.namespace)
            # Without IPv6 it says nothing of its own accord.
            self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
            self.run("ip", "link", "set", device, "address", mac, "up")
            self.run("ip", "address", "add", address, "dev", device)
        except BaseException:
            self.close()
            raise
        self.device = device

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take device and namespace away; who runs a program there ends it first."""
        os.write(self._end, b"x")
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        for descriptor in (self._tap, self._ended, self._end):
            os.close(descriptor)
        _run("ip", "netns", "delete", self.namespace)

    def enter(self, *command: str | Path) -> list[str]:
        """The command line that runs `command` in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *map(str, command)]

    def run(self, *command: str) -> str:
        """Run a program in the namespace; LabError where it fails."""
        return _run(*self.enter(*command))

    def join(self, path: Path) -> Wire:
        """Plug the cable in: what the guest sends to this computer goes to it, all else into the wire's `received`."""
        self._wire = Wire(path, self._deliver)
        self._thread.start()
        return self._wire

    def _deliver(self, frame: bytes) -> bool:
        """The wire's thread asks: is it ours?"""
        if not is_for(frame, self._mac):
            return False
        if frame[:6] == IGMP_REPORTS:
            self.reports.append(frame)
        os.write(self._tap, frame)
        return True

    def _send_all(self) -> None:
        assert self._wire is not None
        while True:
            ready, _, _ = select.select([self._tap, self._ended], [], [])
            if self._ended in ready:
                return
            try:
                self._wire.send(os.read(self._tap, _LONGEST_FRAME_BYTES))
            except OSError:
                return  # the cable was pulled; the wire says so


def is_for(frame: bytes, mac: bytes) -> bool:
    """Whether a computer with this address takes the frame: its own, everybody's, PTP's, and IGMP reports."""
    destination = frame[:6]
    return destination in (mac, _BROADCAST, IGMP_REPORTS) or destination in _PTP_GROUPS


def _open_tap(device: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError as error:
        os.close(tap)
        raise LabError(f"no TAP device {device}: {error.strerror}; the lab needs root for it") from error
    return tap


def _run(*command: str) -> str:
    return run_here(command)


def run_here(command: Sequence[str]) -> str:
    """Standard output of a short program on this machine; LabError where it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise LabError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
