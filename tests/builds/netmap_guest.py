# SPDX-License-Identifier: Apache-2.0
"""A guest with four e1000 on two cables, netmap.ko, and programs of ours: eth0 ~ eth1, eth2 ~ eth3."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from driver_builds.distributions import apt
from driver_builds.lab.guest import choose_accelerator
from driver_builds.lab.image import load_image
from driver_builds.lab.initramfs import render_initramfs

LIMIT_S = 900
NICS = 4

_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /tmp /dev/shm && mount -t tmpfs tmpfs /dev/shm
step() {{ echo "STEP $*"; "$@" || {{ echo "FAILED $*"; dmesg | tail -n 40; poweroff -f; }}; }}
step insmod /modules/netmap.ko
step insmod /modules/e1000.ko
for number in 0 1 2 3; do step ip link set eth$number up promisc on; done
{script}
echo "GUEST DONE"
poweroff -f
"""


def compile_static(sources: Sequence[Path], includes: Sequence[Path], target: Path, *options: str) -> Path:
    """Static: the guest has no C library."""
    command = ["gcc", "-O3", "-static", "-pthread", *options, *(f"-I{path}" for path in includes)]
    subprocess.run([*command, *map(str, sources), "-o", str(target), "-lm", "-lrt"], check=True)
    return target


def run_guest(
    release: str,
    cache: Path,
    modules: Path,
    programs: Mapping[str, Path],
    script: Sequence[str],
    serial: Path,
    cpus: int = 2,
    limit_s: int = LIMIT_S,
) -> str:
    """Boots `release` with the modules of a folder and runs `script` to power-off; the serial log."""
    image = load_image(release, cache)
    with tempfile.TemporaryDirectory(prefix="netmap-guest-") as name:
        folder = Path(name)
        files = {f"bin/{program}": path.read_bytes() for program, path in programs.items()}
        files |= {f"modules/{one}.ko": (modules / f"{one}.ko").read_bytes() for one in ("netmap", "e1000")}
        files["bin/busybox"] = _read_shell(cache, folder)
        files["init"] = _INIT.format(script="\n".join(script)).encode()
        initramfs = folder / "initramfs"
        initramfs.write_bytes(render_initramfs(files))
        accelerator = {"kvm": "kvm", "tcg": "tcg,thread=multi"}[choose_accelerator(image.kernel)]
        command = ["qemu-system-x86_64", "-accel", accelerator, "-smp", str(cpus), "-m", "1024"]
        command += ["-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{serial}"]
        command += ["-kernel", str(image.kernel), "-initrd", str(initramfs)]
        # As on a host the time is read from the TSC: QEMU has one for all its CPUs, and its HPET stops them.
        command += ["-append", "console=ttyS0 panic=-1 quiet tsc=reliable"]
        for number in range(NICS):
            command += ["-netdev", f"hubport,id=net{number},hubid={number // 2}"]
            command += ["-device", f"e1000,netdev=net{number},mac=52:54:00:00:00:0{number},romfile="]
        subprocess.run(command, check=True, timeout=limit_s, stdin=subprocess.DEVNULL)
    return serial.read_text("utf-8", "replace")


def _read_shell(cache: Path, folder: Path) -> bytes:
    stanzas = apt.read_stanzas(["busybox-static"])["busybox-static"]
    assert stanzas, "apt on this host does not know busybox-static; run apt-get update"
    file = apt.fetch_package(apt.build_package(stanzas[0]), cache)
    subprocess.run(["dpkg-deb", "-x", str(file), str(folder / "shell")], check=True)
    return next((folder / "shell").glob("**/bin/busybox")).read_bytes()
