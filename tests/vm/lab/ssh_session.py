# SPDX-License-Identifier: Apache-2.0
"""An OpenSSH session from a station to the guest, on a NIC that carries media: logs in, runs commands, moves data."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from types import TracebackType
from typing import Self

from lab.process import stop_group
from lab.ssh import HOST, Access
from lab.station import Station, run_here

BLOCK_BYTES = 16384
"""Sent, and read back, before the next one: below what two pipes hold, and a few frames under way at a time."""


def plan_command(station: Station, access: Access, address: str, command: str) -> list[str]:
    """ssh with the run's key and the pinned host key of the guest, but to its address on the cable."""
    alias = f"[127.0.0.1]:{access.port}"  # the name the pinned key stands under
    options = ("-o", f"HostName={address}", "-o", "Port=22", "-o", f"HostKeyAlias={alias}")
    return station.enter("ssh", "-F", access.config, *options, HOST, command)


def read_connection(station: Station, access: Access, address: str) -> str:
    """What the guest's sshd says where the session came from and to: "FROM PORT TO PORT"."""
    return run_here(plan_command(station, access, address, "echo $SSH_CONNECTION")).strip()


class Session:
    """One session that stays; a thread sends random blocks to `cat` in the guest and compares what comes back."""

    def __init__(self, station: Station, access: Access, address: str) -> None:
        self.blocks = 0
        """Blocks that came back as they were sent."""
        self.fault: str | None = None
        self._leaving = False
        self._process = subprocess.Popen(
            plan_command(station, access, address, "cat"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._exchange, name="ssh session", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self, patience_s: float = 30.0) -> None:
        """Log out: the session must end by itself, and well."""
        self._leaving = True
        self._thread.join(timeout=patience_s)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            status = self._process.wait(timeout=patience_s)
            if status and self.fault is None:
                self.fault = f"ssh ended with status {status}: {self._read_complaint()}"
        except subprocess.TimeoutExpired:
            self.fault = self.fault or f"ssh did not end within {patience_s:.0f} s"
            stop_group(self._process)

    def _read_complaint(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read().decode(errors="replace").strip()

    def _exchange(self) -> None:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        while not self._leaving and self.fault is None:
            block = os.urandom(BLOCK_BYTES)
            try:
                into.write(block)
                into.flush()
            except OSError as error:
                self.fault = f"the session broke after {self.blocks} blocks: {error}"
                return
            if out.read(BLOCK_BYTES) != block:
                self.fault = f"block {self.blocks} came back changed, or not at all"
            else:
                self.blocks += 1
