# SPDX-License-Identifier: Apache-2.0
"""The guest's script, its serial log, and what is made of it."""

import gzip
import itertools
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from driver_builds.errors import StageError
from driver_builds.lab import guest, results, scenario
from driver_builds.lab.image import find_image, order_modules, read_module
from driver_builds.lab.initramfs import render_initramfs

from .conftest import build_module

RELEASE = "6.1.0-56-amd64"

NETMAP = """\
[    1.89] driver-builds|guest|up|ok|6.1.0-56-amd64
[    1.90] driver-builds|netmap|begin|ok|
[    1.94] driver-builds|netmap|load|ok|
[    2.31] driver-builds|netmap|move|says|adapter vale0:a virtual tx 1*1024 rx 1*1024
[    2.31] driver-builds|netmap|move|says|moved 2000 frames from vale0:a to vale0:b
[    2.31] driver-builds|netmap|move|says|moved 2000 frames from vale0:b to vale0:a
[    2.31] driver-builds|netmap|move|ok|
[    2.32] driver-builds|netmap|end|ok|
"""
E1000 = """\
[    2.33] driver-builds|e1000|begin|ok|
[    2.99] e1000 0000:00:03.0 eth0: Intel(R) PRO/1000 Network Connection
[    2.99] driver-builds|e1000|load|ok|
[    5.42] driver-builds|e1000|move|says|adapter eth0 native tx 1*256 rx 1*256
[    5.42] driver-builds|e1000|move|says|moved 240 frames from eth0 to eth1
[    5.42] driver-builds|e1000|move|says|moved 240 frames from eth1 to eth0
[    5.42] driver-builds|e1000|move|ok|
[   32.08] driver-builds|e1000|remove-open|ok|waited until the port was closed
[   35.36] driver-builds|e1000|unload|ok|
[   35.37] driver-builds|e1000|end|ok|
"""
CASE = scenario.Case("e1000", "mac:52:54:00:00:00")


def judge(serial: str, case: scenario.Case = CASE) -> scenario.Verdict:
    return scenario.judge(case, scenario.split_serial(serial)[case.name], f"no hardware for {case.name}")


def test_native_frames_both_ways_are_evidence() -> None:
    verdict = judge(NETMAP + E1000)
    assert (verdict.evidence, verdict.frames, verdict.adapter) == ("moved", 480, "native")
    assert verdict.rings == "tx 1*256 rx 1*256"
    assert verdict.remove_while_open == "waited until the port was closed"
    assert verdict.lines == ()


def test_netmap_itself_moves_over_a_switch() -> None:
    verdict = judge(NETMAP, scenario.Case("netmap", None))
    assert (verdict.evidence, verdict.frames, verdict.adapter) == ("moved", 4000, "virtual")


def test_a_driver_without_hardware_is_loaded() -> None:
    serial = "[ 1.0] driver-builds|ice|begin|ok|\n[ 1.1] driver-builds|ice|load|ok|\n[ 1.2] driver-builds|ice|end|ok|"
    verdict = judge(serial, scenario.Case("ice", None))
    assert (verdict.evidence, verdict.reason, verdict.reloads) == ("loaded", "no hardware for ice", 1)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("native tx", "virtual tx", "adapter virtual"),
        ("moved 240 frames from eth1 to eth0", "nothing", "frames both ways were wanted"),
        (
            "move|ok|",
            "move|failed|eth1: frame 7 came with 60 bytes (status 1)",
            "move: eth1: frame 7 came with",
        ),
        (
            "Intel(R) PRO",
            "WARNING: CPU: 0 PID: 91 at net/core/dev.c:10 Intel(R) PRO",
            "the kernel log says: ",
        ),
        ("Intel(R) PRO", "BUG: kernel NULL pointer dereference Intel(R) PRO", "the kernel log says: "),
        ("[   35.37] driver-builds|e1000|end|ok|\n", "", "the guest stopped after step unload"),
    ],
)
def test_whatever_is_amiss_fails_and_says_so(old: str, new: str, reason: str) -> None:
    assert old in E1000
    verdict = judge(NETMAP + E1000.replace(old, new))
    assert verdict.evidence == "failed"
    assert reason in verdict.reason
    assert 0 < len(verdict.lines) <= scenario.LINES


def test_trouble_of_one_driver_is_not_anothers() -> None:
    other = E1000.replace("e1000", "e1000e").replace("Intel(R)", "BUG: Intel(R)")
    serial = NETMAP + other + E1000
    assert judge(serial).evidence == "moved"
    assert judge(serial, scenario.Case("e1000e", "mac:x")).evidence == "failed"


def test_a_driver_the_guest_never_reached_is_not_judged() -> None:
    assert set(scenario.split_serial(NETMAP)) == {"guest", "netmap"}


def test_the_cases() -> None:
    needed = {"e1000": ["netmap"], "veth": ["netmap"], "ice": ["netmap", "gnss"]}
    cases = scenario.plan_cases(["e1000", "veth", "ice"], {"e1000": "e1000"}, needed)
    assert [case.ports for case in cases] == ["mac:52:54:00:00:00", "veth", None]
    script = scenario.render_init(cases).splitlines()
    assert script[-6:] == [
        "test_netmap",
        "test_moving e1000 mac:52:54:00:00:00 netmap",
        "test_moving veth veth netmap",
        "test_loading ice netmap gnss",
        "unload_netmap",
        "finish",
    ]


def test_no_cable_leaves_the_guest() -> None:
    cables = [guest.Cable("e1000", "52:54:00:00:00"), guest.Cable("vmxnet3", "52:54:00:00:01")]
    command = guest.render_command("tcg", Path("k"), Path("i"), cables, Path("s"))
    netdevs = [word for before, word in itertools.pairwise(command) if before == "-netdev"]
    assert netdevs == [
        "hubport,id=net00,hubid=0",
        "hubport,id=net01,hubid=0",
        "hubport,id=net10,hubid=1",
        "hubport,id=net11,hubid=1",
    ]
    assert "-nodefaults" in command


def test_the_initramfs_is_one_cpio_reads(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("NOT TESTED: the initramfs against cpio itself; apt-get install cpio to enable it")
    archive = render_initramfs({"init": b"#!/bin/sh\n", "modules/a.ko": b"x" * 5})
    assert archive == render_initramfs({"init": b"#!/bin/sh\n", "modules/a.ko": b"x" * 5})
    subprocess.run(["cpio", "-id", "--quiet"], input=gzip.decompress(archive), cwd=tmp_path, check=True)
    assert (tmp_path / "modules/a.ko").read_bytes() == b"x" * 5
    assert (tmp_path / "init").stat().st_mode & 0o111


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An unpacked image package: a driver that needs two modules, one of them compressed."""
    modules = tmp_path / "usr/lib/modules" / RELEASE / "kernel/drivers"
    (modules / "net").mkdir(parents=True)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / f"vmlinuz-{RELEASE}").write_bytes(b"MZ")

    def module(name: str, depends: str) -> bytes:
        return build_module((("name", name), ("vermagic", f"{RELEASE} SMP "), ("depends", depends)))

    (modules / "net/igb.ko").write_bytes(module("igb", "i2c-algo-bit,dca"))
    (modules / "i2c-algo-bit.ko.xz").write_bytes(lzma.compress(module("i2c_algo_bit", "")))
    (modules / "dca.ko").write_bytes(module("dca", ""))
    return tmp_path


def test_modules_come_after_what_they_need_and_built_ones_win(image: Path) -> None:
    kernel = find_image(RELEASE, image)
    built = {
        "netmap": build_module((("name", "netmap"), ("vermagic", f"{RELEASE} "))),
        "igb": build_module((("name", "igb"), ("vermagic", f"{RELEASE} "), ("depends", "netmap,dca"))),
    }
    assert list(order_modules("igb", built, kernel)) == ["dca", "netmap", "igb"]
    assert list(order_modules("igb", {}, kernel)) == ["dca", "i2c_algo_bit", "igb"]
    assert order_modules("igb", {}, kernel)["i2c_algo_bit"].startswith(b"\x7fELF")


def test_the_kernel_is_found_where_debian_keeps_it_since_7(image: Path) -> None:
    place = image / "usr/lib/modules" / RELEASE / "vmlinuz"
    place.parent.mkdir(parents=True, exist_ok=True)
    (image / "boot" / f"vmlinuz-{RELEASE}").rename(place)
    assert find_image(RELEASE, image).kernel == place
    place.unlink()
    with pytest.raises(StageError, match=f"none of boot/vmlinuz-{RELEASE}, usr/lib/modules/"):
        find_image(RELEASE, image)


def test_zstd_modules_are_read(tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("NOT TESTED: modules compressed by zstd; apt-get install zstd to enable it")
    (tmp_path / "a.ko").write_bytes(b"content")
    subprocess.run(["zstd", "-q", str(tmp_path / "a.ko")], check=True)
    assert read_module(tmp_path / "a.ko.zst") == b"content"


def test_a_module_nobody_has_is_named(image: Path) -> None:
    (next(image.glob("**/dca.ko"))).unlink()
    with pytest.raises(StageError, match="igb needs dca, which no package has"):
        order_modules("igb", {}, find_image(RELEASE, image))


def test_a_result_is_found_by_the_very_bytes_only(tmp_path: Path) -> None:
    verdict = judge(NETMAP + E1000)
    result = results.build_result(RELEASE, "e1000", ("a" * 64, "b" * 64), verdict, "QEMU 7.2.22 tcg")
    path = results.write_result(tmp_path, result)
    assert results.load_result(tmp_path, RELEASE, "e1000", "a" * 64, "b" * 64) == result
    assert results.load_result(tmp_path, RELEASE, "e1000", "c" * 64, "b" * 64) is None
    assert results.load_result(tmp_path, RELEASE, "e1000", "a" * 64, "c" * 64) is None
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    assert results.load_result(tmp_path, RELEASE, "e1000", "a" * 64, "b" * 64) is None, (
        "a cut file is no result"
    )
    path.write_text(text.replace('"test": 1', '"test": 0'))
    assert results.load_result(tmp_path, RELEASE, "e1000", "a" * 64, "b" * 64) is None, (
        "an older test is none"
    )


def test_a_guest_whose_kernel_only_complains_is_given_up(tmp_path: Path) -> None:
    """Seen with vmxnet3 on 6.12: RCU stalls every minute, and no step any more."""
    serial = tmp_path / "serial.log"
    growth = guest._Growth(serial)
    assert growth.goes_on(1)
    serial.write_text(NETMAP)
    assert growth.goes_on(200)
    serial.write_text(NETMAP + "rcu: INFO: rcu_preempt detected stalls\n" * 100)
    assert growth.goes_on(430)
    assert not growth.goes_on(441)
