# SPDX-License-Identifier: Apache-2.0
"""Real builds that are killed, meet each other, find no space, or find a driver broken: nothing half, and the next
run completes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from driver_builds.manifest import load_manifest
from driver_builds.netmap_source import NetmapTree
from driver_builds.verify import find_artifact_problems

from .conftest import LIMIT_S, Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def link_tree(source: Path, target: Path) -> None:
    """A copy that takes no room; nothing writes into a package or an unpacked tree."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link)


@pytest.fixture
def cache(builder: Builder, artifacts: Path, tmp_path: Path) -> Path:
    """A cache with everything fetched and nothing unpacked or built."""
    cache = tmp_path / "cache"
    for name in ("packages", "trees", "resolved"):
        link_tree(builder.cache / name, cache / name)
    return cache


def list_build(release: str, cache: Path, artifacts: Path, drivers: Sequence[str] = ("e1000",)) -> list[str]:
    words = [sys.executable, "-m", "driver_builds.cli.main", "build", "--kernel", release]
    words += ["--cache", str(cache), "--artifacts", str(artifacts)]
    return words + [word for name in drivers for word in ("--driver", name)]


def start(builder: Builder, command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env={**os.environ, "NETMAP_SOURCE": builder.netmap_source},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(build: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = build.communicate(timeout=LIMIT_S)
    return build.returncode, out + err


def check_whole(folder: Path, drivers: Sequence[str] = ("e1000",)) -> None:
    assert find_artifact_problems(folder) == []
    assert [module.name for module in load_manifest(folder).modules] == ["netmap", *drivers]


@pytest.mark.parametrize("moment", ["unpack", "probe", "baseline"])
def test_a_killed_build_leaves_nothing_half(
    builder: Builder, artifacts: Path, release: str, cache: Path, tmp_path: Path, moment: str
) -> None:
    """Killed by SIGKILL in the middle of a stage; the reference is what was built without that."""
    made = tmp_path / "made"
    with start(builder, list_build(release, cache, made)) as build:
        assert build.stderr is not None
        wait_for_stage(build, cache / "builds" / release, moment)
        build.send_signal(signal.SIGKILL)
        build.communicate()
    assert build.returncode == -signal.SIGKILL, "it ended before it was killed"
    assert not (made / release).exists()
    code, said = finish(start(builder, list_build(release, cache, made)))
    assert code == 0, said
    check_whole(made / release)
    for name in ("netmap.ko", "e1000.ko"):
        assert (made / release / name).read_bytes() == (artifacts / name).read_bytes()


def wait_for_stage(build: subprocess.Popen[str], folder: Path, moment: str) -> None:
    """Until the files of that stage begin to appear."""
    signs = {
        "unpack": lambda: any(folder.parent.parent.glob("kernels/.*.new-*")),
        "probe": lambda: any((folder / "work/netmap").rglob("*")),
        "baseline": lambda: any((folder / "work/drivers").rglob("*.o")),
    }
    while not signs[moment]():
        assert build.poll() is None, f"the build ended before {moment} was seen"
        time.sleep(0.005)


def test_two_builds_at_once_give_one_whole_result(
    builder: Builder, release: str, cache: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    builds = [start(builder, list_build(release, cache, made)) for _ in range(2)]
    ends = [finish(build) for build in builds]
    assert [code for code, _ in ends] == [0, 0], ends
    assert sum("waiting for another build" in said for _, said in ends) == 1
    assert sorted(re.search(r"(?m)^(changed|unchanged): ", said)[1] for _, said in ends) == [  # type: ignore[index]
        "changed",
        "unchanged",
    ]
    check_whole(made / release)


def test_a_cut_package_is_refused_by_name_and_fetched_again_once_it_is_gone(
    builder: Builder, release: str, cache: Path, tmp_path: Path
) -> None:
    (package,) = (cache / "packages").glob(f"linux-headers-{release}_*.deb")
    whole = package.read_bytes()
    package.unlink()
    package.write_bytes(whole[: len(whole) // 2])
    code, said = finish(start(builder, list_build(release, cache, tmp_path / "made")))
    assert code == 5
    assert str(package) in said
    assert not (tmp_path / "made" / release).exists()
    package.unlink()
    code, said = finish(start(builder, list_build(release, cache, tmp_path / "made")))
    assert code == 0, said
    assert package.read_bytes() == whole


def test_half_a_download_is_not_taken_for_a_package(
    builder: Builder, release: str, cache: Path, tmp_path: Path
) -> None:
    (package,) = (cache / "packages").glob(f"linux-headers-{release}_*.deb")
    whole = package.read_bytes()
    package.unlink()
    partial = cache / "packages" / ".partial" / package.name
    partial.parent.mkdir(exist_ok=True)
    partial.write_bytes(whole[: len(whole) // 2])
    code, said = finish(start(builder, list_build(release, cache, tmp_path / "made")))
    assert code == 0, said
    assert package.read_bytes() == whole
    assert not partial.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small, and made larger by remounting it."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: builds on a full disk; run as root to enable it")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def test_no_space_for_the_artifacts(
    builder: Builder, artifacts: Path, release: str, small_disk: Path
) -> None:
    resize(small_disk, "64k")
    code, said = finish(start(builder, list_build(release, builder.cache, small_disk)))
    assert code == 1, said
    assert "No space left on device" in said
    assert "make room" in said
    assert "Traceback" not in said
    assert not (small_disk / release).exists()
    resize(small_disk, "16m")
    code, said = finish(start(builder, list_build(release, builder.cache, small_disk)))
    assert code == 0, said
    check_whole(small_disk / release)


@pytest.mark.parametrize("room_bytes", [1 << 20, 100 << 20], ids=["to unpack", "to compile"])
def test_no_space_in_the_cache(
    builder: Builder, artifacts: Path, release: str, small_disk: Path, tmp_path: Path, room_bytes: int
) -> None:
    """A refusal must not be recorded of a driver that only found no space."""
    resize(small_disk, "4g")
    cache = small_disk / "cache"
    for name in ("packages", "trees", "resolved"):
        shutil.copytree(builder.cache / name, cache / name, symlinks=True, ignore=only_for(release))
    disk_use = shutil.disk_usage(small_disk).used
    resize(small_disk, str(disk_use + room_bytes))
    code, said = finish(start(builder, list_build(release, cache, tmp_path / "made")))
    assert code == 1, said
    assert "Traceback" not in said
    assert "No space left on device" in said
    assert not (tmp_path / "made" / release).exists()
    resize(small_disk, "4g")
    code, said = finish(start(builder, list_build(release, cache, tmp_path / "made")))
    assert code == 0, said
    check_whole(tmp_path / "made" / release)
    assert (tmp_path / "made" / release / "e1000.ko").read_bytes() == (artifacts / "e1000.ko").read_bytes()


def only_for(release: str):  # type: ignore[no-untyped-def]
    """Leaves other kernels' packages out."""
    series = "linux-headers-" + re.sub(r"-[a-z].*", "", release)
    wanted = (series, "linux-kbuild-6.1_", "linux-source-6.1_")

    def ignore(folder: str, names: list[str]) -> list[str]:
        packages = Path(folder).name == "packages"
        return [name for name in names if packages and not name.startswith(wanted)]

    return ignore


def test_a_driver_broken_on_purpose_leaves_the_others(
    builder: Builder, release: str, netmap_tree: NetmapTree, tmp_path: Path
) -> None:
    tree, made = tmp_path / "netmap", tmp_path / "made"
    shutil.copytree(netmap_tree.path, tree, symlinks=True)
    header = tree / "LINUX/if_e1000e_netmap.h"
    header.write_text(header.read_text() + "\n#error broken on purpose\n")
    command = list_build(release, builder.cache, made, ("e1000", "e1000e", "vmxnet3"))
    command += ["--netmap-source", str(tree), "--accept-netmap-tree"]
    code, said = finish(start(builder, command))
    assert code == 1, said
    check_whole(made / release, ("e1000", "vmxnet3"))
    (refused,) = load_manifest(made / release).refused
    assert (refused.name, refused.stage) == ("e1000e", "build")
    assert 0 < len(refused.lines) <= 10
    assert any("broken on purpose" in line for line in refused.lines)
    assert refused.log is not None
    assert "broken on purpose" in (made / release / refused.log).read_text()
    assert "refused: e1000e: build: " in said
