# SPDX-License-Identifier: Apache-2.0
"""Builders: which one is taken, the command lines of the chroot, and entering a root for real."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from driver_builds.builders import HostBuilder
from driver_builds.builders.choose import is_host_enough
from driver_builds.builders.chroot import (
    ChrootBuilder,
    plan_binds,
    plan_command,
    plan_mmdebstrap,
    predict_compiler,
)
from driver_builds.distributions.releases import get_distribution
from driver_builds.errors import StageError
from driver_builds.plan import BuildInputs

RECORD = "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"


@pytest.mark.parametrize(
    ("host", "compiler", "record", "enough"),
    [
        ("debian 12", RECORD, RECORD, True),
        ("debian 12", "gcc-12 (Debian 12.2.0-15) 12.2.0", RECORD, True),
        ("debian 12", "gcc-12 (Debian 12.3.0-1) 12.3.0", RECORD, False),
        ("debian 12", "", RECORD, False),
        ("debian 12", RECORD, "", False),
        ("debian 12", "", "", False),
        ("debian 13", RECORD, RECORD, False),
        ("ubuntu 22.04", RECORD, RECORD, False),
    ],
)
def test_the_host_is_taken_where_it_has_the_kernels_own_tools(
    inputs: BuildInputs, host: str, compiler: str, record: str, enough: bool
) -> None:
    packages = replace(inputs.packages, compiler_record=record)
    assert is_host_enough(packages, host, compiler) is enough


def test_the_record_calls_the_compiler_by_its_long_name() -> None:
    record = "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
    assert predict_compiler("gcc-14", record) == "gcc-14 (Debian 14.2.0-19) 14.2.0"
    assert predict_compiler("gcc-12", RECORD) == RECORD
    assert predict_compiler("gcc-10", "") == "gcc-10"


def test_binds_are_the_outer_folders() -> None:
    folders = [Path("/a/b/c"), Path("/a/b"), Path("/a/bc"), Path("/x"), Path("/a/b")]
    assert plan_binds(folders) == [Path("/a/b"), Path("/a/bc"), Path("/x")]


def test_the_command_line() -> None:
    command = plan_command(Path("/c/root"), [Path("/a"), Path("/b")], ["make", "M=/a; reboot"], Path("/a/x"))
    assert command[:4] == ["setpriv", "--pdeathsig", "KILL", "--"]
    assert command[4:11] == [
        "unshare",
        "--mount",
        "--propagation=private",
        "--pid",
        "--fork",
        "--kill-child",
        "--net",
    ]
    assert command[11:14] == ["--", "/bin/sh", "-ec"]
    assert command[15:] == ["sh", "/c/root", "/a/x", "/a", "/b", "--", "make", "M=/a; reboot"]


def test_the_root_is_small_and_signed() -> None:
    command = plan_mmdebstrap(
        get_distribution("debian 11"),
        "gcc-10",
        Path("/c/root"),
        Path("/c/sources.list"),
        ['Acquire::http::Proxy "http://p:1";'],
    )
    included = next(word for word in command if word.startswith("--include="))
    assert included.startswith("--include=gcc-10,")
    assert {"make", "binutils", "libelf1", "xz-utils"} <= set(included.split("=")[1].split(","))
    assert '--aptopt=Acquire::http::Proxy "http://p:1"' in command
    assert "--dpkgopt=path-exclude=/usr/share/doc/*" in command
    assert command[-3:] == ["bullseye", "/c/root", "/c/sources.list"]
    assert not any("trusted" in word or "allow-unauthenticated" in word.lower() for word in command)


def test_the_host_says_its_compiler() -> None:
    builder = HostBuilder("gcc")
    assert builder.read_compiler() in builder.describe()
    assert builder.run(["sh", "-c", "echo $((6*7)); exit 3"]).status == 3


@pytest.fixture
def chroot(tmp_path: Path) -> ChrootBuilder:
    """A builder whose root holds a shell and a few programs of this host; what enters it is the real thing."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: entering another root; run the tests as root")
    work = tmp_path / "work"
    work.mkdir()
    builder = ChrootBuilder(get_distribution("debian 13"), "gcc-14", "", tmp_path / "cache", [work])
    root = builder.home / "root"
    for name in ("bin", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    for name in ("sh", "sleep", "cat", "ls", "env"):
        _copy_program(Path(shutil.which(name) or name).resolve(), root, name)
    (builder.home / "compiler").write_text("gcc-14 (Debian 14.2.0-19) 14.2.0\n")
    done = builder.run(["/bin/sh", "-c", "exit 7"])
    if "Operation not permitted" in done.output:
        pytest.skip(f"NOT TESTED: entering another root; namespaces are forbidden here: {done.output}")
    assert done.status == 7, done.output
    return builder


def _copy_program(program: Path, root: Path, name: str) -> None:
    shutil.copy2(program, root / "bin" / name)
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", said):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, target)


def test_inside_the_root(chroot: ChrootBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    work = tmp_path / "work"
    (work / "in").write_text("from the host")
    done = chroot.run(["/bin/sh", "-c", "cat in; echo inside > out; pwd; env; ls /"], cwd=work)
    assert done.status == 0
    assert done.output.startswith(f"from the host{work}\n")
    assert (work / "out").read_text() == "inside\n"
    assert "TMPDIR" not in done.output
    assert "PATH=/usr/sbin:/usr/bin:/sbin:/bin" in done.output
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text(), "the host sees none of its mounts"


def test_descriptors_reach_the_inside(chroot: ChrootBuilder) -> None:
    read, write = os.pipe()
    os.write(write, b"token\n")
    os.close(write)
    done = chroot.run(["/bin/sh", "-c", f"cat /proc/self/fd/{read}"], inherit=(read,))
    os.close(read)
    assert done.output == "token\n"


_ENTER = """
import sys
from pathlib import Path
from driver_builds import process
from driver_builds.builders.chroot import plan_command
root, work = map(Path, sys.argv[1:])
process.run(plan_command(root, [work], ["/bin/sh", "-c", "echo up > up; sleep 4242"], work))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_build_leaves_no_process_and_no_mount(
    chroot: ChrootBuilder, tmp_path: Path, how: signal.Signals
) -> None:
    work, root = tmp_path / "work", chroot.home / "root"
    # A pipe tells when the last process that holds it is gone, whoever its parent is then.
    read, write = os.pipe()
    os.set_inheritable(write, True)
    enter = subprocess.Popen(
        [sys.executable, "-c", _ENTER.replace("work))", f"work), inherit=({write},))"), str(root), str(work)],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        limit = time.monotonic() + 60
        while not (work / "up").exists():
            assert enter.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        enter.send_signal(how)
        enter.wait(60)
        assert os.read(read, 1) == b"", "what ran inside is gone"
        assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    finally:
        enter.kill()
        os.close(read)


def test_only_root_enters(chroot: ChrootBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StageError, match="only root can enter another root"):
        chroot.prepare()
