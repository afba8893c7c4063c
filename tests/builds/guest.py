# SPDX-License-Identifier: Apache-2.0
"""A guest of a kernel, a shell and the modules under test: an initramfs written here, booted by QEMU (TCG).

Nothing is installed: kernel and shell are package files of the distribution, unpacked.
"""

import gzip
import shutil
import stat
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from driver_builds.distributions import apt

LIMIT_S = 600

_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
step() {{ echo "STEP $*"; "$@" || {{ echo "FAILED $*"; dmesg | tail -n 40; poweroff -f; }}; }}
{script}
echo "KERNEL LOG BEGINS"
dmesg
echo "KERNEL LOG ENDS"
echo "GUEST DONE"
poweroff -f
"""


def unpack_package(name: str, cache: Path, target: Path) -> Path:
    """The newest package `name` of this host's apt, unpacked at `target`."""
    stanzas = apt.read_stanzas([name])[name]
    assert stanzas, f"apt on this host does not know {name}; run apt-get update"
    file = apt.fetch_package(apt.build_package(stanzas[0]), cache)
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "-x", str(file), str(target)], check=True)
    return target


def compile_exercise(source: Path, headers: Path, target: Path) -> Path:
    """exercise.c against the given netmap headers, static: the guest has no C library."""
    command = ["gcc", "-O1", "-Wall", "-static", f"-I{headers}", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def write_initramfs(target: Path, script: Sequence[str], files: Mapping[str, Path]) -> None:
    """An initramfs with busybox's applets, `files` (path in the guest to file here) and an init that runs `script`."""
    entries: list[tuple[str, int, bytes]] = [
        (folder, stat.S_IFDIR | 0o755, b"") for folder in ("bin", "dev", "proc", "sys", "modules")
    ]
    entries += [(name, stat.S_IFREG | 0o755, path.read_bytes()) for name, path in files.items()]
    entries.append(("init", stat.S_IFREG | 0o755, _INIT.format(script="\n".join(script)).encode()))
    target.write_bytes(gzip.compress(b"".join(_render_newc(entries)), compresslevel=1))


def _render_newc(entries: Iterable[tuple[str, int, bytes]]) -> Iterable[bytes]:
    # The "new ASCII" format of cpio(5): 13 fields of 8 hex digits, name and content padded to 4 bytes.
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        label = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(label), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + label
        yield head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def boot(kernel: Path, initramfs: Path, devices: Sequence[str], log: Path) -> str:
    """Boots to power-off and returns the serial log. All NICs are on one hub inside QEMU, and on nothing else."""
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "1", "-m", "512", "-nodefaults"]
    command += ["-display", "none", "-serial", f"file:{log}", "-no-reboot"]
    command += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", "console=ttyS0 panic=-1 quiet"]
    for number, device in enumerate(devices):
        command += ["-netdev", f"hubport,id=net{number},hubid=0"]
        command += ["-device", f"{device},netdev=net{number},mac=52:54:00:00:00:0{number}"]
    subprocess.run(command, check=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    return log.read_text("utf-8", "replace")


def has_qemu() -> bool:
    return shutil.which("qemu-system-x86_64") is not None
