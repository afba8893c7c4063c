# SPDX-License-Identifier: Apache-2.0
"""Built is not works: the modules in a guest, moving frames natively, opened, closed while busy, and loaded again."""

import re
from pathlib import Path

import pytest

from driver_builds.netmap_source import NetmapTree

from . import guest
from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LOAD = ["step insmod /modules/netmap.ko", "step insmod /modules/e1000.ko", "step insmod /modules/e1000e.ko"]
UP = [f"step ip link set {port} up promisc on" for port in ("eth0", "eth1")]
MOVE = ["step exercise move eth0 eth1 2000", "step exercise move eth1 eth0 2000"]
BUSY = ["step exercise busy eth0", "step exercise busy eth1"]
UNLOAD = [f"step ip link set {port} down" for port in ("eth0", "eth1")]
UNLOAD += ["step rmmod e1000e", "step rmmod e1000", "step rmmod netmap"]

TROUBLE = re.compile(
    r"WARNING:|BUG:|Oops|Call Trace|disagrees about version|Unknown symbol|[Ee]mulated adapter"
)


@pytest.fixture(scope="module")
def serial(
    builder: Builder,
    artifacts: Path,
    release: str,
    netmap_tree: NetmapTree,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The serial log of a guest with an e1000 (eth0) and an e1000e (eth1) on one hub."""
    if not guest.has_qemu():
        pytest.skip("NOT TESTED: the drivers in a guest. apt-get install qemu-system-x86 to enable it")
    folder = tmp_path_factory.mktemp("guest")
    image = guest.unpack_package(f"linux-image-{release}", builder.cache, folder / "image")
    shell = guest.unpack_package("busybox-static", builder.cache, folder / "shell")
    headers = netmap_tree.path / "sys"
    exercise = guest.compile_exercise(Path(__file__).parent / "exercise.c", headers, folder / "exercise")
    files = {"bin/busybox": shell / "bin/busybox", "bin/exercise": exercise}
    files |= {f"modules/{name}.ko": artifacts / f"{name}.ko" for name in ("netmap", "e1000", "e1000e")}
    script = [*LOAD, *UP, *MOVE, *BUSY, *MOVE, *UNLOAD, *LOAD, *UP, *MOVE]
    guest.write_initramfs(folder / "initramfs", script, files)
    kernel = image / "boot" / f"vmlinuz-{release}"
    return guest.boot(kernel, folder / "initramfs", ["e1000", "e1000e"], folder / "serial.log")


def test_every_step_went_well(serial: str) -> None:
    assert "FAILED" not in serial, serial
    assert "GUEST DONE" in serial, serial
    assert serial.count("exercise: moved 2000 frames from eth0 to eth1") == 3
    assert serial.count("exercise: moved 2000 frames from eth1 to eth0") == 3
    assert serial.count("exercise: left") == 2


def test_both_ports_are_native(serial: str) -> None:
    native = re.findall(r"(eth[01]): netmap queues/slots: TX (\d+)/(\d+), RX (\d+)/(\d+)", serial)
    assert [port for port, *_ in native] == ["eth0", "eth1", "eth0", "eth1"]


def test_the_kernel_saw_no_trouble(serial: str) -> None:
    log = serial.partition("KERNEL LOG BEGINS")[2].partition("KERNEL LOG ENDS")[0]
    assert log
    assert [line for line in log.splitlines() if TROUBLE.search(line)] == []
