# SPDX-License-Identifier: Apache-2.0
"""netmap: ports with the real module, which forward and come back by themselves: native/tests/test_netmap.c."""

import shutil
from pathlib import Path

import pytest

from .conftest import Builder
from .netmap_guest import compile_static, run_guest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NATIVE = Path(__file__).parents[2] / "native"
RIG = ("frame_builder.c", "rig.c", "wire.c", "test_netmap.c")
LINKS_S = 5  # until an emulated e1000 has its link


def test_ports_forward_and_come_back(builder: Builder, artifacts: Path, release: str, tmp_path: Path) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("NOT TESTED: netmap ports in a guest. apt-get install qemu-system-x86 to enable it")
    sources = [*sorted((NATIVE / "src").glob("*.c")), *(NATIVE / "tests" / name for name in RIG)]
    includes = [NATIVE / folder for folder in ("include", "src", "tests")]
    options = ("-std=gnu11", "-D_GNU_SOURCE")
    program = compile_static(sources, includes, tmp_path / "test_netmap", *options)
    script = ["step ip link set lo up", f"sleep {LINKS_S}", "step test_netmap eth0 eth1 eth2 eth3"]
    serial = run_guest(
        release, builder.cache, artifacts, {"test_netmap": program}, script, tmp_path / "serial", cpus=1
    )
    assert "FAILED" not in serial, serial
    assert "GUEST DONE" in serial, serial
    for name in ("a_peer_stops", "extra_buffers", "native_interfaces"):
        assert f"ok {name}" in serial, serial
