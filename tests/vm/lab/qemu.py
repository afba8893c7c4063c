# SPDX-License-Identifier: Apache-2.0
"""QEMU: which accelerator really works, the command line, and the running machine."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.image import Image
from lab.nics import MANAGEMENT_MAC, MediaNic
from lab.process import Deadline, run_logged, start_detached, stop_group, tail

QEMU = "qemu-system-x86_64"
_PROBE_S = 20.0
_FIRST_PROCESS = b"Run /init as init process"
_FIRST_NIC_SLOT = 4

KVM = "kvm"
TCG = "tcg"
# What costs an emulator much and a guest nothing: 5-level page tables, access checks, vectors it does in pieces.
_CPU = {KVM: "host", TCG: "max,la57=off,smap=off,smep=off,avx=off,avx2=off"}
_ACCELERATOR = {
    KVM: ["-accel", "kvm", "-cpu", _CPU[KVM]],
    TCG: ["-accel", "tcg,thread=multi", "-cpu", _CPU[TCG]],
}


@dataclass(frozen=True)
class Machine:
    """What is booted: everything the command line depends on."""

    image: Image
    folder: Path
    """Run folder: overlay, sockets, serial log, ssh key."""
    accelerator: str
    ssh_port: int
    nics: Sequence[MediaNic]
    cpus: int = 2
    memory_mib: int = 2048

    @property
    def overlay(self) -> Path:
        """The run's own layer over the image."""
        return self.folder / "overlay.qcow2"

    @property
    def serial_log(self) -> Path:
        """What the guest's kernel and systemd said."""
        return self.folder / "serial.log"

    @property
    def public_key(self) -> Path:
        """ssh key of this run, made by lab.ssh."""
        return self.folder / "ssh_key.pub"

    def cable(self, nic: MediaNic) -> Path:
        """The unix socket behind a media NIC."""
        return self.folder / f"{nic.port}.sock"


def probe_accelerator(image: Image) -> str:
    """KVM where the guest's kernel, started as a run starts it, reaches its first process; TCG else.

    Neither a device file nor a running firmware is proof: both are seen where no kernel boots.
    """
    with tempfile.TemporaryDirectory() as folder:
        serial = Path(folder) / "serial"
        command = [*_render_base(KVM), "-m", "512", "-append", "console=ttyS0 panic=-1"]
        command += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-serial", f"file:{serial}"]
        process = start_detached(command, subprocess.DEVNULL)
        try:
            end = time.monotonic() + _PROBE_S
            while process.poll() is None and time.monotonic() < end:
                if serial.is_file() and _FIRST_PROCESS in serial.read_bytes():
                    return KVM
                time.sleep(0.1)
            return TCG
        finally:
            stop_group(process)


def _render_base(accelerator: str) -> list[str]:
    base = "-nodefaults -display none -no-reboot -machine q35"
    return [QEMU, *base.split(), *_ACCELERATOR[accelerator]]


def render_command(machine: Machine) -> list[str]:
    """QEMU's command line. Fixed PCI slots, so the guest's interface names are the same in every run."""
    command = [*_render_base(machine.accelerator), "-smp", str(machine.cpus), "-m", str(machine.memory_mib)]
    command += ["-kernel", str(machine.image.kernel), "-initrd", str(machine.image.initrd)]
    command += ["-append", "root=/dev/vda rw console=ttyS0 loglevel=4 mitigations=off panic=-1 net.ifnames=1"]
    command += ["-drive", f"if=none,id=root,file={machine.overlay},format=qcow2,cache=unsafe"]
    command += ["-device", "virtio-blk-pci,drive=root,addr=0x2", "-device", "virtio-rng-pci,addr=0x8"]
    # restrict=on: the guest reaches nothing, not even this host; only the forwarded port comes in.
    command += ["-netdev", f"user,id=management,restrict=on,hostfwd=tcp:127.0.0.1:{machine.ssh_port}-:22"]
    command += ["-device", f"virtio-net-pci,netdev=management,mac={MANAGEMENT_MAC},addr=0x3,romfile="]
    for slot, nic in enumerate(machine.nics, _FIRST_NIC_SLOT):
        # server=on: QEMU takes a new connection after the last one closed, so cables can be put in again.
        address = f"server=on,addr.type=unix,addr.path={machine.cable(nic)}"
        command += ["-netdev", f"stream,id={nic.port},{address}"]
        command += ["-device", f"{nic.device},netdev={nic.port},mac={nic.mac},addr={slot:#x},romfile="]
    # systemd.system-credentials(7): root's authorized key, read by systemd-tmpfiles; nothing secret is in it.
    credential = "name=opt/io.systemd.credentials/ssh.authorized_keys.root"
    command += ["-fw_cfg", f"{credential},file={machine.public_key}"]
    return [*command, "-serial", f"file:{machine.serial_log}", "-pidfile", str(machine.folder / "qemu.pid")]


def free_port() -> int:
    """A TCP port on 127.0.0.1 nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def create_overlay(machine: Machine, deadline: Deadline) -> None:
    """A fresh layer over the image; what the guest writes goes there."""
    command = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        machine.image.disk,
        machine.overlay,
    ]
    run_logged(command, machine.folder / "qemu.log", deadline)


def start(machine: Machine, outlive: bool = False) -> subprocess.Popen[bytes]:
    """Start QEMU in its own session. Unless `outlive`, the kernel ends it when this process dies."""
    leash = [] if outlive else ["setpriv", "--pdeathsig", "KILL", "--"]
    with (machine.folder / "qemu.log").open("ab") as log:
        return start_detached([*leash, *render_command(machine)], log)


def stop(process: subprocess.Popen[bytes], machine: Machine) -> None:
    """End QEMU and remove its sockets."""
    stop_group(process)
    for nic in machine.nics:
        with contextlib.suppress(FileNotFoundError):
            machine.cable(nic).unlink()


def check_alive(process: subprocess.Popen[bytes], machine: Machine) -> None:
    """LabError with its last words where QEMU has ended."""
    if process.poll() is not None:
        log = tail(machine.folder / "qemu.log")
        raise LabError(f"QEMU ended with status {process.returncode}:\n{log}\n{tail(machine.serial_log)}")
