# SPDX-License-Identifier: Apache-2.0
"""Directories are whole or not there: also when the writer is killed, and when two write at once."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from driver_builds import store

# A writer that is killed by SIGKILL once it says it is half way.
_KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from driver_builds import store
target = Path(sys.argv[1])
def fill(folder):
    (folder / "first").write_text("half")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "fill":
    store.fill_once(target, fill)
else:
    with store.locked(target), store.scratch_beside(target) as folder:
        fill(folder)
"""


def _run_killed_writer(target: Path, how: str) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_WRITER, str(target), how], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def test_killed_while_filling(tmp_path: Path) -> None:
    target = tmp_path / "entry"
    left_over = _run_killed_writer(target, "fill")
    assert left_over.is_dir()
    assert not target.exists()
    calls = []
    store.fill_once(target, lambda folder: calls.append((folder / "first").write_text("whole")))
    assert (target / "first").read_text() == "whole"
    assert not left_over.exists(), "the next one clears up"
    store.fill_once(target, lambda folder: pytest.fail("filled twice"))
    assert len(calls) == 1


def test_killed_while_replacing_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "artifacts"
    target.mkdir()
    (target / "first").write_text("old")
    _run_killed_writer(target, "replace")
    assert (target / "first").read_text() == "old"
    with store.locked(target), store.scratch_beside(target) as folder:
        (folder / "second").write_text("new")
        store.replace_directory(folder, target)
    assert [path.name for path in target.iterdir()] == ["second"]
    assert {path.name for path in tmp_path.iterdir()} == {"artifacts", ".artifacts.lock"}


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "first").touch()
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        store.fill_once(tmp_path / "entry", fill)
    assert [path.name for path in tmp_path.iterdir()] == [".entry.lock"]


def test_many_at_once_fill_once(tmp_path: Path) -> None:
    target = tmp_path / "entry"
    calls: list[str] = []
    start = threading.Barrier(8)

    def fill(folder: Path) -> None:
        calls.append(folder.name)
        (folder / "file").write_text("whole")

    def work() -> None:
        start.wait()
        assert (store.fill_once(target, fill) / "file").read_text() == "whole"

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_reader_never_finds_nothing(tmp_path: Path) -> None:
    target = tmp_path / "artifacts"
    target.mkdir()
    stop = threading.Event()
    seen: set[bool] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(target.is_dir())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        with store.locked(target), store.scratch_beside(target) as folder:
            (folder / "manifest").write_text(str(number))
            store.replace_directory(folder, target)
    stop.set()
    reader.join()
    assert seen == {True}
    assert (target / "manifest").read_text() == "199"


def test_a_file_system_that_cannot_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(one: Path, other: Path) -> None:
        raise OSError(errno.EINVAL, "not on this file system")

    monkeypatch.setattr(store, "_exchange", refuse)
    target, new = tmp_path / "artifacts", tmp_path / "new"
    for folder in (target, new):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    store.replace_directory(new, target)
    assert (target / "name").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]


def test_killed_between_the_two_renames_is_undone(tmp_path: Path) -> None:
    target = tmp_path / "artifacts"
    (tmp_path / ".artifacts.old").mkdir()
    (tmp_path / ".artifacts.old" / "file").write_text("old")
    store.restore_directory(target)
    assert (target / "file").read_text() == "old"
    (tmp_path / ".artifacts.old").mkdir()
    store.restore_directory(target)
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]


def test_a_second_one_waits_and_says_so(tmp_path: Path) -> None:
    target = tmp_path / "artifacts"
    order: list[str] = []
    waiting = threading.Event()

    def say(path: Path) -> None:
        assert path == target
        waiting.set()

    def second() -> None:
        with store.locked(target, waiting=say):
            order.append("second")

    with store.locked(target):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(timeout=10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_is_held_until_the_last_program_of_a_killed_build_ends(tmp_path: Path) -> None:
    """A build is killed, its compiler goes on: nobody may write beside it yet."""
    target = tmp_path / "builds" / "6.1.0-1-amd64"
    code = (
        "import sys, pathlib; from driver_builds import process, store\n"
        "with store.locked(pathlib.Path(sys.argv[1])) as lock, process.held(lock):\n"
        "    process.run(['sh', '-c', 'echo $$ > \"$0\"; exec sleep 300', sys.argv[2]])"
    )
    build = subprocess.Popen([sys.executable, "-c", code, str(target), str(tmp_path / "pid")])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.02)
    compiler = int((tmp_path / "pid").read_text())
    build.kill()
    build.wait()
    waited: list[Path] = []

    def end_compiler(path: Path) -> None:
        waited.append(path)
        os.kill(compiler, signal.SIGKILL)

    with store.locked(target, waiting=end_compiler):
        assert waited == [target]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "results" / "one.json"
    store.write_file(path, "first")
    with pytest.raises(UnicodeEncodeError):
        store.write_file(path, "second \ud800")
    assert path.read_text() == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["one.json"]
