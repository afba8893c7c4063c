# SPDX-License-Identifier: Apache-2.0
"""A guest's life: from an image to ssh, and away again however the run ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import qemu, ssh
from lab.errors import LabError
from lab.image import Image
from lab.nics import MEDIA_NICS, Ports
from lab.process import Deadline
from lab.report import Report
from lab.ssh import Access

MARKER = "studio-bypass-lab-guest"
"""File that says that a folder is one of `lab up`, and may be removed."""
_BOOT_S = {qemu.KVM: 120.0, qemu.TCG: 300.0}


@dataclass(frozen=True)
class Guest:
    """A running guest that answers ssh."""

    machine: qemu.Machine
    access: Access
    process: subprocess.Popen[bytes]

    @property
    def cables(self) -> list[tuple[str, Path]]:
        """Port name and socket of every media NIC."""
        return [(nic.port, self.machine.cable(nic)) for nic in self.machine.nics]


def boot(
    image: Image, folder: Path, accelerator: str, ports: Ports, deadline: Deadline, outlive: bool = False
) -> Guest:
    """Boot `image` in the run folder `folder` and wait for ssh; QEMU is ended where that fails."""
    port = qemu.free_port()
    machine = qemu.Machine(image, folder, accelerator, port, MEDIA_NICS[ports])
    access = ssh.prepare(folder, port, image.host_key)
    qemu.create_overlay(machine, deadline)
    process = qemu.start(machine, outlive)
    try:
        ssh.wait_until_up(
            access,
            _BOOT_S[accelerator],
            deadline,
            machine.serial_log,
            lambda: qemu.check_alive(process, machine),
        )
    except BaseException:
        qemu.stop(process, machine)
        raise
    return Guest(machine, access, process)


@contextlib.contextmanager
def booted(
    image: Image, folder: Path, accelerator: str, ports: Ports, deadline: Deadline, report: Report
) -> Iterator[Guest]:
    """`boot`, with QEMU ended and its sockets removed at the end, whatever happened."""
    with report.phase("boot to ssh"):
        guest = boot(image, folder, accelerator, ports, deadline)
    try:
        yield guest
    finally:
        qemu.stop(guest.process, guest.machine)


@contextlib.contextmanager
def run_folder(keep: bool) -> Iterator[Path]:
    """A short path under the temporary directory: unix socket paths have at most 107 bytes (unix(7))."""
    if keep:
        yield Path(tempfile.mkdtemp(prefix="studio-lab-"))
        return
    with tempfile.TemporaryDirectory(prefix="studio-lab-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def remove_outliving(folder: Path) -> bool:
    """End the guest that `lab up` left in `folder` and remove the folder; returns whether a guest ran.

    LabError for a folder with other content: it is not the lab's to remove.
    """
    if not folder.exists():
        return False
    if any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise LabError(f"{folder} is not empty and holds no guest of the lab; name another folder")
    ran = end_outliving(folder)
    shutil.rmtree(folder)
    return ran


def end_outliving(folder: Path, wait_s: float = 10.0) -> bool:
    """End the QEMU that `lab up` left in `folder`; returns whether one ran. Never touches another process."""
    pid_file = folder / "qemu.pid"
    if not pid_file.is_file():
        return False
    pid = int(pid_file.read_text())
    # The pid may be someone else's by now: ours carries this folder's pid file in its arguments.
    try:
        handle = os.pidfd_open(pid)
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (ProcessLookupError, FileNotFoundError):
        return False
    try:
        if str(pid_file).encode() not in arguments:
            return False
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        end = time.monotonic() + wait_s
        while Path(f"/proc/{pid}").exists():
            if time.monotonic() > end:
                raise LabError(f"QEMU (process {pid}) did not end within {wait_s:.0f} s of SIGTERM")
            time.sleep(0.1)
        return True
    finally:
        os.close(handle)


def join_nics(access: Access, interfaces: dict[str, str], macs: Sequence[str]) -> None:
    """For the lab's check of itself: the guest's kernel redirects each media NIC's frames to the other (tc-mirred).

    Not a bridge: that drops frames without a valid source address, as real captures hold.
    """
    first, second = (interfaces[mac] for mac in macs)
    commands = []
    for source, target in ((first, second), (second, first)):
        redirect = f"matchall action mirred egress redirect dev {target}"
        commands += [f"ip link set {source} up promisc on", f"tc qdisc add dev {source} clsact"]
        commands += [f"tc filter add dev {source} ingress {redirect}"]
    access.read(" && ".join(commands))
