# SPDX-License-Identifier: Apache-2.0
"""The worker as a process: start, publish from another process, stop, refusals, and death at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from appliance.config.worker_spec import WorkerFiles, WorkerSpec, render_worker_spec, worker_files
from appliance.errors import ExitCode
from appliance.fastpath import FrameKey, Route, RouteTable, StateSegment, names
from appliance.telemetry import collect_observation

from .waiting import LIMIT_S, wait_until

DIGEST = bytes(32)
TABLE = [Route.exact(FrameKey(0, IPv4Address("239.1.2.1"), 6000), (1,), 0)]
PORTS = [{"name": "in", "device": "memory:in"}, {"name": "out", "device": "memory:out", "ring_slots": 64}]


def write_spec(runtime_dir: Path, **fields: object) -> WorkerFiles:
    spec = WorkerSpec.model_validate_json(json.dumps({"name": "main", "ports": PORTS} | fields))
    files = worker_files(runtime_dir, "main")
    files.folder.mkdir(parents=True, exist_ok=True)
    files.spec.write_text(render_worker_spec(spec))
    return files


def start(runtime_dir: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-P",
        "-m",
        "appliance.worker",
        "--runtime-dir",
        str(runtime_dir),
        "--name",
        "main",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_running(files: WorkerFiles, pid: int) -> bool:
    if not files.state.exists():
        return False
    with StateSegment.open(files.state) as state:
        seen = state.read_worker()
        return seen.pid == pid and seen.running


def has_generation(state: StateSegment, generation: int) -> bool:
    return state.read_worker().generation == generation


@pytest.fixture
def runtime_dir(tmpfs: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmpfs / str(request.node.name)
    folder.mkdir()
    return folder


@pytest.fixture
def worker(runtime_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    files = write_spec(runtime_dir)
    with start(runtime_dir) as process:
        try:
            wait_until(lambda: is_running(files, process.pid) or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_stops_on_a_signal_with_the_final_account(
    runtime_dir: Path, worker: "subprocess.Popen[str]", stop: signal.Signals
) -> None:
    worker.send_signal(stop)
    output, errors = worker.communicate(timeout=LIMIT_S)
    assert (worker.returncode, errors) == (0, "")
    (line,) = output.splitlines()
    account = json.loads(line)
    assert (account["worker"], account["balanced"]) == ("main", True)
    assert [port["name"] for port in account["ports"]] == ["in", "out"]
    assert set(account["account"]["dropped_frames"]) == set(names.DROP_LABELS)
    with StateSegment.open(worker_files(runtime_dir, "main").state) as state:
        assert not state.read_worker().running


def test_stops_on_a_request_in_the_state_segment(runtime_dir: Path, worker: "subprocess.Popen[str]") -> None:
    with StateSegment.open(worker_files(runtime_dir, "main").state) as state:
        state.request_stop()
        assert state.read_worker().stop_requested
    output, _ = worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0
    assert json.loads(output)["balanced"] is True


@pytest.mark.parametrize("ignored", [signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1])
def test_ignores_signals_that_come_with_a_dying_parent(
    runtime_dir: Path, worker: "subprocess.Popen[str]", ignored: signal.Signals
) -> None:
    files = worker_files(runtime_dir, "main")
    with StateSegment.open(files.state) as state:
        before = state.read_worker().loops
        worker.send_signal(ignored)
        wait_until(lambda: state.read_worker().loops > before + 2)
    assert is_running(files, worker.pid)
    assert worker.poll() is None


def test_takes_tables_from_another_process(runtime_dir: Path, worker: "subprocess.Popen[str]") -> None:
    with StateSegment.open(worker_files(runtime_dir, "main").state) as state:
        for generation in range(1, 21):
            with RouteTable.build(TABLE) as table:
                state.publish(table, generation, DIGEST)
            wait_until(partial(has_generation, state, generation))
    (seen,) = collect_observation(runtime_dir).workers
    assert (seen.generation, seen.published, seen.alive, seen.running) == (20, 20, True, True)


def test_has_its_own_session_and_survives_its_parent(runtime_dir: Path) -> None:
    files = write_spec(runtime_dir)
    command = [
        sys.executable,
        "-P",
        "-m",
        "appliance.worker",
        "--runtime-dir",
        str(runtime_dir),
        "--name",
        "main",
    ]
    parent_code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", parent_code, *command], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            wait_until(lambda: is_running(files, child))
            assert os.getsid(child) == child
            parent.kill()
            parent.wait()
            with StateSegment.open(files.state) as state:
                before = state.read_worker().loops
                wait_until(lambda: state.read_worker().loops > before + 2)
                # Its stdout is a pipe nobody reads any more: it has to end well all the same.
                os.kill(child, signal.SIGTERM)
                wait_until(lambda: not state.read_worker().running)
            wait_until(lambda: not Path(f"/proc/{child}/fd/1").exists())
            assert not files.error.exists()
        finally:
            if Path(f"/proc/{child}").exists():
                os.kill(child, signal.SIGKILL)


def test_a_second_worker_of_the_name_is_refused(runtime_dir: Path, worker: "subprocess.Popen[str]") -> None:
    with start(runtime_dir) as second:
        _, errors = second.communicate(timeout=LIMIT_S)
    assert second.returncode == ExitCode.UNSAFE
    assert errors.startswith(f"worker main: process {worker.pid} runs it already")
    files = worker_files(runtime_dir, "main")
    assert not files.error.exists()
    assert is_running(files, worker.pid)


def test_killed_and_started_again(runtime_dir: Path, worker: "subprocess.Popen[str]") -> None:
    files = worker_files(runtime_dir, "main")
    with StateSegment.open(files.state) as old:
        worker.kill()
        worker.wait()
        observation = collect_observation(runtime_dir)
        assert [seen.alive for seen in observation.workers] == [False]
        assert observation.problems[0].startswith(f"worker main: process {worker.pid} is gone")
        with start(runtime_dir) as second:
            wait_until(lambda: is_running(files, second.pid))
            assert collect_observation(runtime_dir).problems == ()
            assert old.read_worker().pid == worker.pid  # an old reader keeps the old file
            second.send_signal(signal.SIGTERM)
            second.communicate(timeout=LIMIT_S)
        assert second.returncode == 0


@pytest.mark.slow
def test_killed_at_any_moment_of_its_start(runtime_dir: Path) -> None:
    """Whatever is left behind, status can be read and the next worker starts."""
    files = write_spec(runtime_dir)
    for delay_s in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6):
        with start(runtime_dir) as process:
            time.sleep(delay_s)
            process.kill()
        (seen,) = collect_observation(runtime_dir).workers
        assert not seen.alive
    with start(runtime_dir) as process:
        wait_until(lambda: is_running(files, process.pid))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"ports": [{"name": "in", "device": "xdp:nosuch0", "xdp": {"mode": "native", "copy": "copy"}}]},
            "port in (xdp:nosuch0): the interface nosuch0 does not exist; `ip link` shows",
        ),
        (
            {"cpu": 4000},
            "worker main: cpu 4000 cannot be used (Invalid argument); this process may use CPU ",
        ),
    ],
    ids=["interface", "cpu"],
)
def test_a_start_that_fails_says_why(runtime_dir: Path, fields: dict[str, object], message: str) -> None:
    files = write_spec(runtime_dir, **fields)
    with start(runtime_dir) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (ExitCode.FAILED, "")
    assert errors.startswith(message)
    assert errors.count("\n") == 1
    left = json.loads(files.error.read_text())
    assert left == {"exit_code": 1, "message": errors.rstrip("\n")}
    assert any(problem.endswith(left["message"]) for problem in collect_observation(runtime_dir).problems)


@pytest.mark.parametrize("text", ["{", '{"name": "main"}', '{"name": "other", "ports": [1]}', ""])
def test_a_spec_that_is_no_spec_says_where(runtime_dir: Path, text: str) -> None:
    files = write_spec(runtime_dir)
    files.spec.write_text(text)
    with start(runtime_dir) as process:
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == ExitCode.FAILED
    assert errors.startswith(f"{files.spec}: ")
    assert json.loads(files.error.read_text())["message"] == errors.rstrip("\n")


def test_without_a_folder_there_is_one_line(runtime_dir: Path) -> None:
    with start(runtime_dir) as process:
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == ExitCode.FAILED
    assert errors.startswith("worker main: ")
    assert errors.count("\n") == 1


def test_is_pinned_to_its_cpu(runtime_dir: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    files = write_spec(runtime_dir, cpu=cpu)
    with start(runtime_dir) as process:
        try:
            wait_until(lambda: is_running(files, process.pid))
            threads = [int(entry.name) for entry in Path(f"/proc/{process.pid}/task").iterdir()]
            masks = {thread: os.sched_getaffinity(thread) for thread in threads}
            assert [mask for thread, mask in masks.items() if thread != process.pid] == [{cpu}]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=LIMIT_S)
