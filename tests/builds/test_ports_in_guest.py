# SPDX-License-Identifier: Apache-2.0
"""netmap: ports with the real module, which forward and come back by themselves: native/tests/test_netmap.c."""

import shutil
from pathlib import Path

import pytest

from .conftest import Builder
from .netmap_guest import compile_static, run_guest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NATIVE = Path(__file__).parents[2] / "native"
RIG = ("frame_builder.c", "pipe_ends.c", "rig.c", "wire.c")
LINKS_S = 5  # until an emulated e1000 has its link


def run_program(name: str, builder: Builder, artifacts: Path, release: str, folder: Path, cpus: int) -> str:
    """Run native/tests/NAME.c in a guest; its serial log."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("NOT TESTED: netmap ports in a guest. apt-get install qemu-system-x86 to enable it")
    sources = [
        *sorted((NATIVE / "src").glob("*.c")),
        *(NATIVE / "tests" / part for part in (*RIG, f"{name}.c")),
    ]
    includes = [NATIVE / part for part in ("include", "src", "tests")]
    options = ("-std=gnu11", "-D_GNU_SOURCE")
    program = compile_static(sources, includes, folder / name, *options)
    script = ["step ip link set lo up", f"sleep {LINKS_S}", f"step {name} eth0 eth1 eth2 eth3"]
    serial = run_guest(
        release, builder.cache, artifacts, {name: program}, script, folder / "serial", cpus=cpus
    )
    assert "FAILED" not in serial, serial
    assert "GUEST DONE" in serial, serial
    return serial


def test_ports_forward_and_come_back(builder: Builder, artifacts: Path, release: str, tmp_path: Path) -> None:
    serial = run_program("test_netmap", builder, artifacts, release, tmp_path, cpus=1)
    for name in ("a_peer_stops", "extra_buffers", "native_interfaces"):
        assert f"ok {name}" in serial, serial


def test_the_kernels_sync_loop(builder: Builder, artifacts: Path, release: str, tmp_path: Path) -> None:
    serial = run_program("test_kloop", builder, artifacts, release, tmp_path, cpus=2)
    for name in ("refusals", "pipes", "killed_worker", "killed_loop", "interfaces"):
        assert f"ok {name}" in serial, serial
