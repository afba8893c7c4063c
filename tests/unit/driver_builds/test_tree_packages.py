# SPDX-License-Identifier: Apache-2.0
"""Tools, headers and the DKMS package, from a tree in netmap's shape with programs of one line."""

import io
import lzma
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from driver_builds.catalogue import NetmapPin, load_netmap_pin
from driver_builds.errors import StageError, UsageError
from driver_builds.netmap_source import NetmapTree, parse_netmap_source
from driver_builds.packages import dkms, tools
from driver_builds.packages.deb import Deb, render_control, render_deb
from driver_builds.tree_hash import hash_tree

from .test_packages import check_golden

_LIBRARY = "int {name}_works(void);\nint {name}_works(void)\n{{\n    return 1;\n}}\n"
_PROGRAM = '#include "libnetmap.h"\n#include <stdio.h>\nint main(void) { return puts(__FILE__) < 0; }\n'


def make_tree(folder: Path) -> NetmapTree:
    for program in tools.PROGRAMS:
        for path, text in ((program.source, _PROGRAM), (program.manual, f".TH {program.name}\n")):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    for name in ("nmctx.c", "nmctx-pthreads.c", "nmport.c", "nmreq.c", "libnetmap.h"):
        (folder / "libnetmap").mkdir(exist_ok=True)
        text = (
            "#define LIBNETMAP 1\n"
            if name.endswith(".h")
            else _LIBRARY.format(name=name[:-2].replace("-", "_"))
        )
        (folder / "libnetmap" / name).write_text(text)
    for header in tools.HEADERS:
        (folder / "sys/net").mkdir(parents=True, exist_ok=True)
        (folder / "sys/net" / header).write_text(f"/* {header} */\n")
    (folder / "LICENSE").write_text("two clauses\n")
    (folder / "LINUX").mkdir()
    (folder / "LINUX/configure").write_text("#!/bin/sh\n")
    (folder / "LINUX/configure").chmod(0o755)
    (folder / "link").symlink_to("LICENSE")
    pin = load_netmap_pin()
    return NetmapTree(folder, "e" * 64, pin.commit, pin.url, "here", True)


@pytest.fixture
def tree(tmp_path: Path) -> NetmapTree:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def pin() -> NetmapPin:
    return load_netmap_pin()


def test_tools_are_the_same_from_any_folder(tree: NetmapTree, pin: NetmapPin, tmp_path: Path) -> None:
    other = make_tree(tmp_path / "another" / "place")
    first, second = (render_deb(tools.build_tools(one, pin), 1) for one in (tree, other))
    assert first == second
    assert render_deb(tools.build_headers(tree, pin), 1) == render_deb(tools.build_headers(other, pin), 1)


def unpack(deb: Deb, folder: Path) -> Path:
    (folder / deb.file_name).write_bytes(render_deb(deb, 1))
    subprocess.run(["dpkg-deb", "-x", folder / deb.file_name, folder / deb.name], check=True)
    return folder / deb.name


def test_tools_run_without_any_library(tree: NetmapTree, pin: NetmapPin, tmp_path: Path) -> None:
    folder = unpack(tools.build_tools(tree, pin), tmp_path)
    for program in tools.PROGRAMS:
        done = subprocess.run([folder / "usr/bin" / program.name], capture_output=True, text=True, check=True)
        assert done.stdout == f"{program.source}\n"
        linked = subprocess.run(
            ["readelf", "--dynamic", folder / "usr/bin" / program.name],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "NEEDED" not in linked.stdout
    assert not (folder / "usr/bin/bridge").exists()  # iproute2's


def test_headers_and_library_can_be_compiled_with(tree: NetmapTree, pin: NetmapPin, tmp_path: Path) -> None:
    folder = unpack(tools.build_headers(tree, pin), tmp_path)
    source = tmp_path / "x.c"
    source.write_text(
        "#include <net/netmap_user.h>\n#include <libnetmap.h>\nint nmport_works(void);\n"
        "int main(void) { return nmport_works() - LIBNETMAP; }\n"
    )
    library = folder / "usr/lib/x86_64-linux-gnu"
    command = [
        "gcc",
        f"-I{folder}/usr/include",
        "-o",
        str(tmp_path / "x"),
        str(source),
        f"-L{library}",
        "-lnetmap",
    ]
    subprocess.run(command, check=True)
    subprocess.run([tmp_path / "x"], check=True)


def test_a_program_that_does_not_compile_says_why(tree: NetmapTree, pin: NetmapPin) -> None:
    (tree.path / tools.PROGRAMS[0].source).write_text("int main(void) { return nonsense; }\n")
    with pytest.raises(StageError, match="package pkt-gen: gcc ended with 1") as caught:
        tools.build_tools(tree, pin)
    assert any("nonsense" in line for line in caught.value.lines)
    (tree.path / "LICENSE").unlink()
    with pytest.raises(StageError, match="LICENSE: netmap's tree has no such file"):
        tools.build_headers(tree, pin)


def test_another_tree_is_told_by_its_hash(tree: NetmapTree, pin: NetmapPin) -> None:
    other = replace(tree, commit=None, pinned=False)
    assert tools.build_headers(other, pin).version.startswith("0~tree.eeeeeee+r1.")
    assert tools.build_headers(tree, pin, 7).version.startswith("0~git20260210.89607e1+r7.")


def find_entry(deb: Deb, name: str) -> bytes:
    return next(entry.content for entry in deb.entries if Path(entry.path).name == name)


def test_dkms_package_is_as_agreed(tree: NetmapTree, pin: NetmapPin) -> None:
    deb = dkms.build_dkms(tree, pin, ["e1000e", "igb"])
    version = deb.version.removeprefix("0~").replace("+", ".")

    def settle(text: str) -> str:
        # The version ends with a hash of compressed data: another liblzma may pack it in another way.
        return text.replace(deb.version, "VERSION").replace(version, "VERSION")

    check_golden("dkms.control.txt", settle(render_control(deb)).replace(f"{deb.version[-8:]}", "HASH"))
    check_golden("dkms.conf.txt", settle(find_entry(deb, "dkms.conf").decode()))
    check_golden("dkms.build.txt", find_entry(deb, "build").decode())
    for script in ("postinst", "prerm"):
        check_golden(f"dkms.{script}.txt", settle(deb.scripts[script]))
    assert f"usr/src/netmap-{version}/dkms.conf" in [entry.path for entry in deb.entries]


def test_scripts_of_the_dkms_package_are_sound(tree: NetmapTree, pin: NetmapPin) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("NOT TESTED: the scripts by shellcheck; apt-get install shellcheck")
    deb = dkms.build_dkms(tree, pin, ["e1000e"])
    for text in (*deb.scripts.values(), find_entry(deb, "build").decode()):
        seen = subprocess.run(["shellcheck", "-"], input=text, text=True, capture_output=True, check=False)
        assert seen.returncode == 0, seen.stdout


def test_dkms_conf_is_read_by_a_shell(tree: NetmapTree, pin: NetmapPin, tmp_path: Path) -> None:
    deb = dkms.build_dkms(tree, pin, ["e1000e", "igb"])
    (tmp_path / "dkms.conf").write_bytes(find_entry(deb, "dkms.conf"))
    script = (
        'kernelver=6.1.0-56-amd64; . ./dkms.conf; echo "${BUILT_MODULE_NAME[*]} ${MAKE[0]} $PACKAGE_VERSION"'
    )
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    names, version = done.stdout.rsplit(" ", 1)
    assert names == "netmap e1000e igb ./build 6.1.0-56-amd64"
    assert f"usr/src/netmap-{version.strip()}/build" in [entry.path for entry in deb.entries]


def test_its_tarball_is_the_tree(tree: NetmapTree, pin: NetmapPin, tmp_path: Path) -> None:
    os.link(tree.path / "LICENSE", tree.path / "LICENSE-again")
    tarball = dkms.render_tarball(tree.path, 1)
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(tarball))) as tar:
        assert {(member.uid, member.uname, member.mtime) for member in tar} == {(0, "root", 1)}
        tar.extractall(tmp_path / "out", filter="tar")
    assert hash_tree(tmp_path / "out/netmap") == hash_tree(tree.path)
    (tmp_path / "netmap.tar.xz").write_bytes(tarball)
    assert parse_netmap_source(str(tmp_path / "netmap.tar.xz"), pin)[0] == "tarball"
    again = tmp_path / "again"
    shutil.copytree(tree.path, again, symlinks=True)
    assert dkms.render_tarball(again, 1) == tarball


# What `driver-builds build` leaves, as far as the script uses it.
_BUILDER = """#!/bin/sh
echo "$@" > "{log}"
while [ $# -gt 0 ]; do [ "$1" != --artifacts ] || artifacts=$2; [ "$1" != --kernel ] || kernel=$2; shift; done
[ -z "$BROKEN" ] || exit 1
mkdir -p "$artifacts/$kernel" && touch "$artifacts/$kernel/netmap.ko"
"""


def test_its_build_leaves_modules_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command, log = tmp_path / "driver-builds", tmp_path / "log"
    command.write_text(_BUILDER.format(log=log))
    command.chmod(0o755)
    monkeypatch.setattr(dkms, "COMMANDS", ("/nonexistent/driver-builds", str(command)))
    (tmp_path / "build").write_text(dkms.render_script("build", ["e1000e"], pinned=False))

    def build(broken: str) -> int:
        arguments = ["sh", str(tmp_path / "build"), "6.1.0-56-amd64"]
        return subprocess.run(arguments, env={**os.environ, "BROKEN": broken}, check=False).returncode

    assert build("") == 0
    assert (tmp_path / "modules/netmap.ko").exists()
    assert not (tmp_path / "artifacts").exists()
    assert "--driver e1000e --accept-netmap-tree --netmap-source" in log.read_text()
    assert build("yes") == 1
    assert not (tmp_path / "modules").exists()
    command.unlink()
    assert build("") == 1


def test_dkms_needs_drivers(tree: NetmapTree, pin: NetmapPin) -> None:
    with pytest.raises(UsageError, match="no driver was asked for"):
        dkms.build_dkms(tree, pin, [])
