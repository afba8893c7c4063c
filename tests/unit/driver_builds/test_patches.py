# SPDX-License-Identifier: Apache-2.0
"""Patch names, and what `patch` says, from real runs of it."""

import subprocess
from pathlib import Path

import pytest

from driver_builds.errors import StageError
from driver_builds.patches import (
    HunkResult,
    build_version_code,
    check_hunks,
    count_hunks,
    parse_patch_log,
    select_patch,
)

NAMES = [
    "vanilla--i40e--51000--60400",
    "vanilla--i40e--60400--99999",
    "vanilla--e1000--31200--99999",
    "vanilla--e1000e--31200--99999",
    "vanilla--forcedeth.c--31200--99999",
    "intel--i40e--2.28.9",
    "custom--virtio_net.c--4.9",
    "README",
]


@pytest.mark.parametrize(
    ("version", "code"),
    [((6, 1, 192), "601c0"), ((6, 4, 0), "60400"), ((6, 1, 300), "601ff"), ((5, 15, 7), "50f07")],
)
def test_version_code(version: tuple[int, int, int], code: str) -> None:
    assert build_version_code(version) == code


@pytest.mark.parametrize(
    ("family", "version", "chosen"),
    [
        ("i40e", (6, 1, 192), "vanilla--i40e--51000--60400"),
        ("i40e", (6, 3, 255), "vanilla--i40e--51000--60400"),
        ("i40e", (6, 4, 0), "vanilla--i40e--60400--99999"),
        ("e1000", (6, 1, 192), "vanilla--e1000--31200--99999"),
        ("e1000e", (6, 1, 192), "vanilla--e1000e--31200--99999"),
        ("forcedeth.c", (6, 1, 192), "vanilla--forcedeth.c--31200--99999"),
    ],
)
def test_the_one_patch_whose_range_fits(family: str, version: tuple[int, int, int], chosen: str) -> None:
    assert select_patch(NAMES, family, version) == chosen


def test_no_nearest_patch() -> None:
    with pytest.raises(
        StageError, match=r"no patch for kernel 5\.15\.1 \(50f01\); it has 51000 to 60400, 60400 to"
    ):
        select_patch(NAMES, "i40e", (5, 15, 1))
    with pytest.raises(StageError, match="it has none"):
        select_patch(NAMES, "ice", (6, 1, 0))


def test_two_patches_that_fit_are_refused() -> None:
    with pytest.raises(StageError, match="2 patches fit"):
        select_patch([*NAMES, "vanilla--e1000--60000--60200"], "e1000", (6, 1, 192))


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _diff(folder: Path, old: list[str], new: list[str]) -> Path:
    _write(folder / "a/d/f.c", old)
    _write(folder / "b/d/f.c", new)
    done = subprocess.run(
        ["diff", "-u", "a/d/f.c", "b/d/f.c"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    patch = folder / "the.patch"
    patch.write_text(done.stdout)
    return patch


def _apply(folder: Path, patch: Path, target: list[str] | None) -> str:
    """What `patch` prints when applied to `target`, or where the file is missing."""
    (folder / "work").mkdir()
    if target is not None:
        _write(folder / "work/d/f.c", target)
    command = ["patch", "--strip=1", "--verbose", "--batch", "--forward", f"--input={patch}"]
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder / "work", capture_output=True, text=True, check=False, env=environment
    ).stdout


LINES = [f"line {number};" for number in range(1, 41)]


def _edit(lines: list[str]) -> list[str]:
    return [*lines[:9], "inserted;", *lines[9:29], "also inserted;", *lines[29:]]


def test_log_of_an_exact_fit(tmp_path: Path) -> None:
    patch = _diff(tmp_path, LINES, _edit(LINES))
    hunks = parse_patch_log(_apply(tmp_path, patch, LINES))
    assert [(hunk.hunk, hunk.offset, hunk.fuzz, hunk.applied) for hunk in hunks] == [
        (1, 0, 0, True),
        (2, 0, 0, True),
    ]
    assert {hunk.file for hunk in hunks} == {"d/f.c"}
    assert hunks[0].line == 7
    assert count_hunks(patch) == 2


def test_log_of_offset_and_fuzz(tmp_path: Path) -> None:
    patch = _diff(tmp_path, LINES, _edit(LINES))
    moved = ["new;", "new;", *LINES]
    moved[moved.index("line 7;")] = "line 7 was changed;"  # the outermost context line of hunk 1
    hunks = parse_patch_log(_apply(tmp_path, patch, moved))
    assert [(hunk.offset, hunk.applied) for hunk in hunks] == [(2, True), (2, True)]
    assert [hunk.fuzz for hunk in hunks] == [1, 0]
    check_hunks("e1000", hunks, 2, tmp_path / "log")


def test_log_of_a_hunk_that_does_not_fit(tmp_path: Path) -> None:
    patch = _diff(tmp_path, LINES, _edit(LINES))
    target = [line for line in LINES if line not in {f"line {number};" for number in range(26, 36)}]
    hunks = parse_patch_log(_apply(tmp_path, patch, target))
    assert [hunk.applied for hunk in hunks] == [True, False]
    with pytest.raises(StageError, match="1 of 2 hunks do not fit this kernel's source") as caught:
        check_hunks("e1000", hunks, 2, tmp_path / "log")
    assert caught.value.subject == "e1000"
    assert caught.value.lines[0].startswith("d/f.c: hunk 2 does not fit at line")
    assert f"full log: {tmp_path / 'log'}" in str(caught.value)


def test_a_missing_hunk_is_not_overlooked(tmp_path: Path) -> None:
    hunks = [HunkResult("f.c", 1, 10, 0, 0, True)]
    with pytest.raises(StageError, match="1 of 2 hunks were applied"):
        check_hunks("e1000", hunks, 2, tmp_path / "log")


def test_log_with_a_missing_file(tmp_path: Path) -> None:
    patch = _diff(tmp_path, LINES, _edit(LINES))
    hunks = parse_patch_log(_apply(tmp_path, patch, None))
    assert [hunk for hunk in hunks if hunk.applied] == []
    with pytest.raises(StageError):
        check_hunks("e1000", hunks, 2, tmp_path / "log")
