# SPDX-License-Identifier: Apache-2.0
"""The host stack beside media on a real netmap interface: native/tests/test_netmap_host.c in a guest."""

import shutil
from pathlib import Path

import pytest

from .conftest import Builder
from .netmap_guest import compile_static, run_guest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NATIVE = Path(__file__).parents[2] / "native"
RIG = ("frame_builder.c", "rig.c", "wire.c", "test_netmap_host.c")
LINKS_S = 5  # until an emulated e1000 has its link


def test_ping_and_tcp_work_beside_media(
    builder: Builder, artifacts: Path, release: str, tmp_path: Path
) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("NOT TESTED: netmap host rings in a guest. apt-get install qemu-system-x86 to enable it")
    sources = [*sorted((NATIVE / "src").glob("*.c")), *(NATIVE / "tests" / name for name in RIG)]
    includes = [NATIVE / folder for folder in ("include", "src", "tests")]
    options = ("-std=gnu11", "-D_GNU_SOURCE")
    program = compile_static(sources, includes, tmp_path / "test_netmap_host", *options)
    script = ["step ip link set lo up", f"sleep {LINKS_S}", "step test_netmap_host eth0 eth1 eth2 eth3"]
    programs = {"test_netmap_host": program}
    serial = run_guest(release, builder.cache, artifacts, programs, script, tmp_path / "serial")
    assert "FAILED" not in serial, serial
    assert "ok host_stack_beside_media" in serial, serial
