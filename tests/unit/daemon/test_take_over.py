# SPDX-License-Identifier: Apache-2.0
"""The daemon dies, workers die, files are torn: what the next daemon makes of it."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.telemetry.processes import read_start_ticks

if TYPE_CHECKING:
    from conftest import Appliance

pytestmark = pytest.mark.slow


def test_kill_9_and_take_over(running: "Appliance", texts: dict[str, str]) -> None:
    worker = running.status()[1]["workers"][0]["pid"]
    running.end(signal.SIGKILL)
    asked = running.call("status", "--json")
    document = json.loads(asked.stdout)
    assert asked.returncode == 4
    assert document["daemon"]["running"] is False
    assert document["problems"] == [document["daemon"]["problem"]]
    assert "connection refused" in document["daemon"]["problem"]
    assert document["workers"][0] | {"pid": worker, "alive": True, "running": True} == document["workers"][0]
    assert [route["name"] for route in document["routes"]] == ["camera-1"]

    after = running.start()
    assert (after["problems"], after["generation"]["active"]) == ([], 1)
    assert after["workers"][0]["pid"] == worker
    assert running.apply(texts["routes"]).returncode == 0
    assert running.end(signal.SIGTERM) == 0
    assert running.output().splitlines()[-4].startswith("received 0 = forwarded 0 + merged 0")
    assert read_start_ticks(worker) is None
    assert [path.name for path in running.runtime.rglob("*") if path.is_file()] == ["daemon.lock"]


def test_take_over_does_not_restart_for_a_changed_file(running: "Appliance", texts: dict[str, str]) -> None:
    worker = running.status()[1]["workers"][0]["pid"]
    running.end(signal.SIGKILL)
    running.config.write_text(texts["ports"])
    document = running.start()
    assert document["workers"][0]["pid"] == worker
    (problem,) = document["problems"]
    assert problem.startswith(
        f"configuration not applied: {running.config}: not applied, because frames would be lost"
    )
    assert "port blue-out device memory:c → memory:d" in problem
    assert running.status()[0] == 1
    # Routes alone are no reason to wait.
    running.end(signal.SIGKILL)
    running.config.write_text(texts["routes"])
    document = running.start()
    assert (document["workers"][0]["pid"], document["problems"]) == (worker, [])
    assert document["generation"]["active"] == 2


def test_take_over_publishes_again_what_the_worker_has_not(
    running: "Appliance", texts: dict[str, str]
) -> None:
    """As if the first daemon had been killed between the publish of generation 2 and its commit."""
    saved = running.state.with_name("saved")
    shutil.copytree(running.state, saved)
    running.apply(texts["routes"])
    running.end(signal.SIGKILL)
    shutil.rmtree(running.state)
    saved.rename(running.state)
    running.config.write_text(texts["base"])
    document = running.start()
    assert document["problems"] == []
    assert document["generation"]["active"] == document["workers"][0]["generation"] == 3
    assert document["generation"]["digest"] == hashlib.sha256(texts["base"].encode()).hexdigest()


def test_killed_in_the_middle_of_the_first_start(appliance: "Appliance") -> None:
    """The worker is on its way, nothing is committed yet: the next daemon starts over, with one worker."""
    lock = appliance.runtime / "workers" / "main" / "spawn.lock"
    appliance.launch()
    appliance.wait_until(lock.exists, "starting a worker")
    appliance.end(signal.SIGKILL)
    document = appliance.start()
    assert (document["problems"], document["generation"]["active"]) == ([], 1)
    workers = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(appliance.runtime).encode() in read_bytes(path) and b"appliance.worker" in read_bytes(path)
    ]
    assert [int(path.parent.name) for path in workers] == [document["workers"][0]["pid"]]


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # ended meanwhile


def test_a_worker_that_is_down_does_not_hold_up_the_others(
    appliance: "Appliance", texts: dict[str, str]
) -> None:
    """Its device was taken by somebody else; routes of the other worker still change."""
    two = texts["base"].replace("ports:\n", "workers: [{name: main}, {name: other}]\nports:\n")
    two = two.replace('"}', '", worker: main}')
    two = two.replace("routes:\n", '  - {name: x, device: "memory:x", worker: other}\nroutes:\n')
    appliance.config.write_text(two)
    before = {worker["name"]: worker["pid"] for worker in appliance.start()["workers"]}
    folder = appliance.runtime / "workers" / "other"
    # Held by this test, a second worker of the name is refused: it cannot start.
    with (folder / "lock").open() as held:
        os.kill(before["other"], signal.SIGKILL)
        fcntl.flock(held, fcntl.LOCK_EX)
        appliance.wait_until(lambda: "holds" in appliance.output(), "trying in vain")
        done = appliance.apply(two.replace("239.1.2.1", "239.1.2.3"))
        assert done.returncode == 0, done.stderr
        assert "changed: generation 2" in done.stdout
        code, document = appliance.status()
        assert code == 1
        assert any(problem.startswith("worker other: ") for problem in document["problems"])
        main = next(worker for worker in document["workers"] if worker["name"] == "main")
        assert (main["pid"], main["generation"]) == (before["main"], 2)

    def both_run() -> bool:
        code, document = appliance.status()
        return code == 0 and [worker["generation"] for worker in document["workers"]] == [2, 2]

    appliance.wait_until(both_run, "whole again")


def test_hand_over_for_an_upgrade(running: "Appliance") -> None:
    worker = running.status()[1]["workers"][0]["pid"]
    assert running.end(signal.SIGUSR1) == 0
    assert not (running.runtime / "control.sock").exists()
    assert running.status()[0] == 4
    document = running.start()
    assert (document["workers"][0]["pid"], document["problems"]) == (worker, [])


def test_running_workers_of_another_state_directory_are_left_alone(running: "Appliance") -> None:
    worker = running.status()[1]["workers"][0]["pid"]
    running.end(signal.SIGKILL)
    shutil.rmtree(running.state)
    refused = running.call("run", "--config", str(running.config))
    assert refused.returncode == 5
    assert f"workers run (process {worker}), but {running.state} does not say what for" in refused.stderr
    assert read_start_ticks(worker) is not None


def test_a_killed_worker_comes_back(running: "Appliance") -> None:
    killed = running.status()[1]["workers"][0]["pid"]
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        code, document = running.status()
        worker = document["workers"][0]
        return code == 0 and worker["pid"] != killed and worker["generation"] == 1

    running.wait_until(is_back, "running again")
    assert running.status()[1]["workers"][0]["restarts"] == 1
    assert "worker main: killed by signal 9 (Killed)" in running.output()


def test_a_damaged_active_file_is_not_believed(running: "Appliance", texts: dict[str, str]) -> None:
    running.apply(texts["routes"])
    running.end(signal.SIGKILL)
    (running.state / "active.yaml").write_text(texts["routes"][:50])
    document = running.start()
    assert (document["problems"], document["generation"]["active"]) == ([], 2)

    running.end(signal.SIGKILL)
    (running.state / "generation.json").write_text('{"generation": 2, "dig')
    done = running.call("run", "--config", str(running.config))
    assert done.returncode == 1
    assert "generation.json: damaged" in done.stderr
    assert "remove it to start anew" in done.stderr
