# SPDX-License-Identifier: Apache-2.0
"""What goes when the cache is cleaned, and that nothing goes while it is used."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds import cached_sizes, disk
from driver_builds.cli.main import app
from driver_builds.cli.sizes import parse_size, render_size
from driver_builds.errors import UsageError

DAY_S = 86400.0


def fill(cache: Path, name: str, age_days: float, size_bytes: int = 8192) -> Path:
    path = cache / name / "file" if not name.endswith(".deb") else cache / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)
    then_s = 1_700_000_000 - age_days * DAY_S
    os.utime(path, (then_s, then_s))
    return cache / name


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Things last used 1 to 5 days before 1700000000."""
    cache = tmp_path / "cache"
    fill(cache, "packages/a_1_amd64.deb", 5)
    fill(cache, "kernels/6.1.0-1-amd64-0", 4)
    fill(cache, "modules/e1000-0", 3)
    fill(cache, "modules/e1000-1", 1)
    fill(cache, "results/6.1.0-1-amd64", 9)
    fill(cache, "kernels/.6.1.0-2-amd64-0.new-abc", 0)
    (cache / "kernels/.6.1.0-1-amd64-0.lock").touch()
    return cache


def plan(cache: Path, **how: object) -> list[str]:
    going = disk.plan_clean(disk.read_entries(cache), now_s=1_700_000_000, **how)  # type: ignore[arg-type]
    return [str(entry.path.relative_to(cache)) for entry in going]


LEFT_OVER = "kernels/.6.1.0-2-amd64-0.new-abc"


def test_what_goes_is_what_was_used_longest_ago(cache: Path) -> None:
    assert plan(cache, keep_bytes=3 * 8192) == [
        LEFT_OVER,
        "packages/a_1_amd64.deb",
        "kernels/6.1.0-1-amd64-0",
    ]
    assert plan(cache, older_than_s=3.5 * DAY_S) == [
        LEFT_OVER,
        "packages/a_1_amd64.deb",
        "kernels/6.1.0-1-amd64-0",
    ]
    assert plan(cache, keep_bytes=1 << 40) == [LEFT_OVER], "what a killed build left always goes"


def test_results_go_only_with_everything(cache: Path) -> None:
    assert "results/6.1.0-1-amd64" not in plan(cache, keep_bytes=0)
    assert "results/6.1.0-1-amd64" in plan(cache, everything=True)


def test_reading_counts_as_use(cache: Path) -> None:
    os.utime(cache / "packages/a_1_amd64.deb", (1_700_000_000, 1_700_000_000 - 5 * DAY_S))
    assert plan(cache, keep_bytes=3 * 8192)[1] == "kernels/6.1.0-1-amd64-0"


def test_it_is_gone_and_the_rest_is_there(cache: Path) -> None:
    gone = disk.trim(cache, 3 * 8192)
    assert len(gone) == 3
    assert sorted(str(entry.path.relative_to(cache)) for entry in disk.read_entries(cache)) == [
        "modules/e1000-0",
        "modules/e1000-1",
        "results/6.1.0-1-amd64",
    ]
    assert (cache / "kernels/.6.1.0-1-amd64-0.lock").exists()
    assert disk.trim(cache, 3 * 8192) == []


def count_measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the entries that are counted file by file from now on."""
    measured: list[str] = []
    truly = cached_sizes.measure

    def measure(path: Path) -> tuple[int, float]:
        measured.append(path.name)
        return truly(path)

    monkeypatch.setattr(cached_sizes, "measure", measure)
    return measured


def test_what_is_filled_once_is_counted_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.trim(cache, 1 << 40) == []
    measured = count_measured(monkeypatch)
    assert disk.trim(cache, 1 << 40) == []
    assert "e1000-0" in measured
    assert "6.1.0-1-amd64-0" not in measured
    # Made again under the same name, as store.fill_once does it, and four times as large: over the bound.
    fill(cache, "kernels/other", 0, size_bytes=4 * 8192)
    shutil.rmtree(cache / "kernels/6.1.0-1-amd64-0")
    (cache / "kernels/other").rename(cache / "kernels/6.1.0-1-amd64-0")
    measured.clear()
    assert disk.trim(cache, 6 * 8192)
    assert "6.1.0-1-amd64-0" in measured


@pytest.mark.parametrize("text", ["", "[1]", '{"kernels/x 1 2": "many"}', "\xff"])
def test_sizes_that_cannot_be_read_are_counted_again(cache: Path, text: str) -> None:
    (cache / ".sizes.json").write_bytes(text.encode("latin-1"))
    assert len(disk.trim(cache, 3 * 8192)) == 3


def test_a_killed_clean_leaves_nothing_that_looks_whole(cache: Path) -> None:
    # As killed between its rename and the removal.
    (cache / "modules/e1000-0").rename(cache / "modules/.e1000-0.clean-77")
    assert "modules/.e1000-0.clean-77" in plan(cache, keep_bytes=1 << 40)


def test_nothing_goes_while_a_build_works_there(cache: Path) -> None:
    """A second process, as a build is one."""
    code = (
        "import sys, pathlib; from driver_builds import disk\n"
        "with disk.used(pathlib.Path(sys.argv[1]), print): print('in', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as build:
        assert build.stdout is not None
        assert build.stdout.readline() == "in\n"
        assert disk.trim(cache, 0) == []
        assert len(disk.read_entries(cache)) == 6
        with disk.used(cache, lambda path: pytest.fail("two builds need not wait for each other")):
            pass
        build.communicate("\n")
    assert len(disk.trim(cache, 0)) == 5


def test_a_build_that_begins_waits_for_a_clean(cache: Path) -> None:
    waited: list[Path] = []
    descriptor = os.open(cache / ".in-use.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    def let_go(path: Path) -> None:
        waited.append(path)
        os.close(descriptor)

    with disk.used(cache, let_go):
        assert waited == [cache]


def test_the_command(cache: Path) -> None:
    run = CliRunner().invoke
    shown = run(app, ["clean", "--cache", str(cache)])
    assert shown.exit_code == 0
    assert "packages       1     8.0 KB" in shown.stdout
    assert "removed" not in shown.stdout
    tried = run(app, ["clean", "--cache", str(cache), "--all", "--dry-run"])
    assert "would free 48.0 KB" in tried.stdout
    assert len(disk.read_entries(cache)) == 6
    done = run(app, ["clean", "--cache", str(cache), "--all"])
    assert "freed 48.0 KB" in done.stdout
    assert disk.read_entries(cache) == []
    assert run(app, ["clean", "--cache", str(cache), "--keep-bytes", "lots"]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500M", 500 << 20), ("1.5g", 3 << 29), ("20GiB", 20 << 30), ("7 K", 7168)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_hostile_sizes() -> None:
    for text in ("", "-1", "1e9", "10X", "G"):
        with pytest.raises(UsageError):
            parse_size(text)
    assert [render_size(size) for size in (0, 1023, 1536, 5 << 30, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KB",
        "5.0 GB",
        "5120.0 GB",
    ]
