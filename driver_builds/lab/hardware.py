# SPDX-License-Identifier: Apache-2.0
"""Which drivers have hardware in this QEMU, and whether KVM is worth trying."""

import os
import re
from functools import cache
from pathlib import Path

from driver_builds import process
from driver_builds.errors import DriverBuildError

QEMU = "qemu-system-x86_64"
# Driver to QEMU's name of its device; igb came with QEMU 8.0.
_DEVICES = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "igb": "igb",
    "vmxnet3": "vmxnet3",
    "virtio_net": "virtio-net-pci",
}
# A pair of virtual interfaces that needs no hardware.
VETH = "veth"
# Modules without which the kernel does not see the device, nothing of it in the driver's `depends`.
BUSES = {"virtio_net": ("virtio_pci",)}


@cache
def read_qemu_version() -> str:
    """Like "7.2.22"; raises DriverBuildError when there is no QEMU."""
    if process.find_program(QEMU) is None:
        raise DriverBuildError(
            f"{QEMU}: not found; apt-get install qemu-system-x86 to test drivers in a guest"
        )
    match = re.search(r"version ([0-9][0-9.]*)", process.run([QEMU, "--version"]).output)
    return match[1] if match else "unknown"


@cache
def read_devices() -> dict[str, str]:
    """The drivers this QEMU has hardware for, with its name for it."""
    known = set(re.findall(r'^name "([^"]+)"', process.run([QEMU, "-device", "help"]).output, re.MULTILINE))
    return {driver: device for driver, device in _DEVICES.items() if device in known}


def explain_missing(driver: str) -> str:
    """Why a driver's frames cannot be moved in a guest here."""
    if driver in _DEVICES:
        return f"QEMU {read_qemu_version()} has no {_DEVICES[driver]}"
    return f"QEMU has no hardware for {driver}"


def may_have_kvm() -> bool:
    """Whether this process may open /dev/kvm; whether a kernel boots with it, only booting one tells."""
    return os.access(Path("/dev/kvm"), os.R_OK | os.W_OK)
