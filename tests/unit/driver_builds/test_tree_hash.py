# SPDX-License-Identifier: Apache-2.0
"""The tree hash: the same for whatever carried the files, another for any change in them."""

import hashlib
import os
from pathlib import Path

import pytest

from driver_builds.errors import RefusedAsUnsafe
from driver_builds.tree_hash import hash_entries, hash_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_bytes(b"one\n")
    (tmp_path / "run").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("b/file")
    return tmp_path


def test_it_is_what_the_docstring_says(tree: Path) -> None:
    def digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    lines = [
        f"100644 {digest(b'one' + bytes([10]))} b/file",
        f"120000 {digest(b'b/file')} link",
        f"100755 {digest(b'#!/bin/sh' + bytes([10]))} run",
    ]
    assert hash_tree(tree) == hashlib.sha256("".join(line + "\0" for line in lines).encode()).hexdigest()


def test_order_of_entries_does_not_matter() -> None:
    entries = [("b", "100644", "0" * 64), ("a/b", "100755", "1" * 64), ("a-b", "120000", "2" * 64)]
    assert hash_entries(entries) == hash_entries(reversed(entries))


def test_times_owners_and_group_bits_do_not_matter(tree: Path) -> None:
    before = hash_tree(tree)
    os.utime(tree / "run", (1, 1))
    (tree / "run").chmod(0o700)
    (tree / "b" / "file").chmod(0o640)
    assert hash_tree(tree) == before


def test_git_folder_or_file_at_the_top_does_not_matter(tree: Path) -> None:
    before = hash_tree(tree)
    (tree / ".git").write_text("gitdir: elsewhere\n")
    assert hash_tree(tree) == before
    (tree / "b" / ".git").write_text("deeper ones are files like any other\n")
    assert hash_tree(tree) != before


@pytest.mark.parametrize("change", ["content", "mode", "name", "link", "more", "link to folder"])
def test_any_change_matters(tree: Path, change: str) -> None:
    before = hash_tree(tree)
    match change:
        case "content":
            (tree / "b" / "file").write_bytes(b"onf\n")
        case "mode":
            (tree / "b" / "file").chmod(0o755)
        case "name":
            (tree / "b" / "file").rename(tree / "b" / "filf")
        case "link":
            (tree / "link").unlink()
            (tree / "link").symlink_to("b/filf")
        case "more":
            (tree / "b" / "empty").touch()
        case "link to folder":
            (tree / "c").symlink_to("b")
    assert hash_tree(tree) != before


def test_a_device_or_pipe_is_refused(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(RefusedAsUnsafe, match="pipe: neither a file nor a symbolic link"):
        hash_tree(tree)
