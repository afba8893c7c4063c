# SPDX-License-Identifier: Apache-2.0
"""netmap: ports with the real module, which forward and come back by themselves: native/tests/test_netmap.c."""

import subprocess
from pathlib import Path

import pytest

from . import guest
from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NATIVE = Path(__file__).parents[2] / "native"
RIG = ("frame_builder.c", "rig.c", "wire.c")
LINKS_S = 5  # until an emulated e1000 has its link


def compile_test(target: Path) -> Path:
    """test_netmap and the fast path, static: the guest has no C library."""
    sources = [*sorted((NATIVE / "src").glob("*.c")), *(NATIVE / "tests" / name for name in RIG)]
    command = ["gcc", "-std=gnu11", "-O2", "-static", "-pthread", "-D_GNU_SOURCE"]
    command += [f"-I{NATIVE / folder}" for folder in ("include", "src", "tests")]
    command += [*map(str, sources), str(NATIVE / "tests/test_netmap.c"), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def test_ports_forward_and_come_back(builder: Builder, artifacts: Path, release: str, tmp_path: Path) -> None:
    if not guest.has_qemu():
        pytest.skip("NOT TESTED: netmap ports in a guest. apt-get install qemu-system-x86 to enable it")
    image = guest.unpack_package(f"linux-image-{release}", builder.cache, tmp_path / "image")
    shell = guest.unpack_package("busybox-static", builder.cache, tmp_path / "shell")
    files = {"bin/busybox": shell / "bin/busybox", "bin/test_netmap": compile_test(tmp_path / "test_netmap")}
    files |= {f"modules/{name}.ko": artifacts / f"{name}.ko" for name in ("netmap", "e1000")}
    script = ["mkdir -p /dev/shm /tmp", "step insmod /modules/netmap.ko", "step insmod /modules/e1000.ko"]
    script += [f"step ip link set eth{number} up promisc on" for number in range(4)]
    script += [f"sleep {LINKS_S}", "step test_netmap eth0 eth1 eth2 eth3"]
    guest.write_initramfs(tmp_path / "initramfs", script, files)
    kernel = image / "boot" / f"vmlinuz-{release}"
    serial = guest.boot(kernel, tmp_path / "initramfs", ["e1000"] * 4, tmp_path / "log", hubs=(0, 0, 1, 1))
    assert "FAILED" not in serial, serial
    assert "GUEST DONE" in serial, serial
    for name in ("a_peer_stops", "native_interfaces"):
        assert f"ok {name}" in serial, serial
