# SPDX-License-Identifier: Apache-2.0
"""One guest, from power-on to power-off: a kernel, an initramfs, NICs on cables inside QEMU, and its serial log."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from driver_builds import process
from driver_builds.lab import hardware

LIMIT_S = 600.0
# A test that takes no step for so long, on however busy a machine, hangs; the kernel may well go on complaining.
_SILENCE_S = 240.0
_KVM_TRIAL_S = 30.0
# Without an initramfs a kernel gets as far as looking for its root file system.
_READY = "Unable to mount root fs"

# What costs an emulator much and a guest nothing: 5-level page tables, access checks, vectors it does in pieces.
_ACCELERATORS = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off,smap=off,smep=off,avx=off,avx2=off"],
}
_ARGUMENTS = "console=ttyS0 panic=-1 ignore_loglevel printk.devkmsg=on mitigations=off random.trust_cpu=on"


@dataclass(frozen=True, slots=True)
class Cable:
    """Two NICs of one kind on a cable of their own; their MAC addresses are `prefix`:00 and `prefix`:01."""

    device: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Ran:
    """A guest that has ended: its serial log, what ran it ("kvm", "tcg"), QEMU's own trouble or ""."""

    serial: str
    accelerator: str
    trouble: str


def boot(kernel: Path, initramfs: Path, cables: Sequence[Cable], serial: Path) -> Ran:
    """Boots to power-off. A guest that hangs is stopped; its log then ends where it hung."""
    accelerator = choose_accelerator(kernel)
    command = render_command(accelerator, kernel, initramfs, cables, serial)
    serial.unlink(missing_ok=True)
    seen = _Growth(serial)
    done = process.run_watched(command, lambda elapsed_s: elapsed_s < LIMIT_S and seen.goes_on(elapsed_s))
    trouble = ""
    if done is not None and done.status != 0:
        trouble = f"QEMU ended with status {done.status}: {done.output.strip()[-300:]}"
    return Ran(_read(serial), accelerator, trouble)


def render_command(
    accelerator: str, kernel: Path, initramfs: Path, cables: Sequence[Cable], serial: Path
) -> list[str]:
    """QEMU's command line; no NIC reaches anything but its cable's other end."""
    command = [hardware.QEMU, *_ACCELERATORS[accelerator], "-machine", "q35", "-smp", "1", "-m", "768"]
    command += ["-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{serial}"]
    command += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", _ARGUMENTS]
    for number, cable in enumerate(cables):
        for end in (0, 1):
            name = f"net{number}{end}"
            command += ["-netdev", f"hubport,id={name},hubid={number}"]
            command += ["-device", f"{cable.device},netdev={name},mac={cable.prefix}:{end:02x},romfile="]
    return command


@cache
def choose_accelerator(kernel: Path) -> str:
    """KVM where this kernel, started as a test starts it, gets through its own start; TCG else.

    Neither a device file nor a running firmware is proof: both are seen where no kernel boots.
    """
    if not hardware.may_have_kvm():
        return "tcg"
    with tempfile.TemporaryDirectory() as folder:
        serial, empty = Path(folder) / "serial", Path(folder) / "initramfs"
        empty.write_bytes(b"")
        command = render_command("kvm", kernel, empty, (), serial)
        process.run_watched(
            command, lambda elapsed_s: elapsed_s < _KVM_TRIAL_S and _READY not in _read(serial)
        )
        text = _read(serial)
    return "kvm" if _READY in text else "tcg"


class _Growth:
    """Whether the test in the guest still takes steps."""

    def __init__(self, serial: Path) -> None:
        self._serial = serial
        self._steps = 0
        self._since_s = 0.0

    def goes_on(self, elapsed_s: float) -> bool:
        steps = _read(self._serial).count("driver-builds|")
        if steps != self._steps:
            self._steps, self._since_s = steps, elapsed_s
        return elapsed_s - self._since_s < _SILENCE_S


def _read(serial: Path) -> str:
    return serial.read_text("utf-8", "replace") if serial.exists() else ""
