# SPDX-License-Identifier: Apache-2.0
"""State segments to records and problems: real segments, written by a real loop in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

from appliance.config.steering import FlowRule, render_rules
from appliance.config.worker_spec import WorkerFiles, worker_files
from appliance.fastpath import FrameKey, LoopWorker, MemoryPort, Region, Route, RouteTable, StateSegment
from appliance.telemetry import Observation, PortRecord, collect_observation
from appliance.telemetry.problems import (
    PENDING_HEARTBEAT_S,
    STALE_HEARTBEAT_S,
    list_port_problems,
    list_worker_problems,
)
from appliance.telemetry.processes import is_alive, read_start_ticks

GROUP = IPv4Address("239.1.2.1")
DATAGRAM = (
    bytes.fromhex("4500001c0000000040110000c0000201") + GROUP.packed + bytes.fromhex("1388177000080000")
)
FRAME = bytes.fromhex("01005e010201020000000001") + bytes.fromhex("0800") + DATAGRAM


@dataclass
class Loop:
    """A loop that this process drives turn by turn."""

    files: WorkerFiles
    state: StateSegment
    ports: list[MemoryPort]
    worker: LoopWorker

    def publish(self, generation: int) -> None:
        with RouteTable.build([Route.exact(FrameKey(0, GROUP, 6000), (1,), 3)]) as table:
            self.state.publish(table, generation, bytes(32))

    def forward(self, frames: int) -> None:
        for _ in range(frames):
            self.ports[0].inject(FRAME)
        while self.worker.turn():
            pass


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    files = worker_files(tmp_path, "main")
    files.folder.mkdir(parents=True)
    with Region(64) as region, StateSegment.create(files.state) as state, LoopWorker(state) as worker:
        ports = [MemoryPort.create(name, region, 8) for name in ("a", "b")]
        for port, name in zip(ports, ("red-in", "red-out"), strict=True):
            worker.add_port(port, name)
        yield Loop(files, state, ports, worker)


def test_the_records_are_the_document_of_status(loop: Loop, tmp_path: Path) -> None:
    loop.publish(1)
    loop.forward(5)
    loop.ports[0].inject(b"short")
    loop.worker.turn()
    rule = FlowRule("ens4", 2, ip_address("239.1.2.1"), 32, udp_port=6000)
    worker_files(tmp_path, "main").steering.write_text(render_rules([rule]))
    seen = collect_observation(tmp_path, {"main": {"camera-1": 3, "camera-2": 4}}, {"main": 2})
    document = json.loads(seen.model_dump_json())
    (worker,) = document["workers"]
    assert worker["heartbeat_age_s"] >= 0
    del worker["heartbeat_age_s"]
    assert worker == {
        "name": "main",
        "pid": os.getpid(),
        "alive": True,
        "running": False,
        "generation": 1,
        "published": 1,
        "restarts": 2,
        "balanced": True,
        "account": {
            "received_frames": 6,
            "forwarded_frames": 5,
            "merged_frames": 0,
            "to_host_frames": 0,
            "held_frames": 0,
            "dropped_frames": {reason: int(reason == "short") for reason in seen.ports[0].dropped_frames},
        },
        "memberships": [],
        "flow_rules": ["ens4 239.1.2.1:6000 → queue 2"],
        "evicted_flows": 0,
    }
    assert document["routes"] == [
        {
            "name": name,
            "to": "",
            "frames": frames,
            "bytes": frames * len(FRAME),
            "rtp": None,
            "pacing": None,
        }
        for name, frames in (("camera-1", 5), ("camera-2", 0))
    ]
    ingress, egress = document["ports"]
    assert (ingress["name"], ingress["device"], ingress["kind"]) == ("red-in", "memory:a", "memory")
    assert (egress["name"], egress["transmitted_frames"], egress["swapped_frames"]) == ("red-out", 5, 5)
    assert Observation.model_validate_json(seen.model_dump_json()) == seen


def test_an_empty_runtime_directory_has_nothing_to_say(tmp_path: Path) -> None:
    assert collect_observation(tmp_path) == Observation()
    assert collect_observation(tmp_path / "missing") == Observation()


def test_a_pending_generation_is_a_problem_where_no_turn_takes_it(loop: Loop, tmp_path: Path) -> None:
    loop.publish(1)
    (worker,) = collect_observation(tmp_path).workers
    running = worker.model_copy(update={"running": True, "heartbeat_age_s": PENDING_HEARTBEAT_S * 2})
    (problem,) = list_worker_problems(running, loop.files)
    assert problem.startswith(
        "worker main: uses generation 0, generation 1 was published and is not acknowledged"
    )
    just_offered = running.model_copy(update={"heartbeat_age_s": PENDING_HEARTBEAT_S / 2})
    assert list_worker_problems(just_offered, loop.files) == ()
    taken = running.model_copy(update={"generation": 1})
    assert list_worker_problems(taken, loop.files) == ()


def test_a_loop_that_does_not_run_is_a_problem(loop: Loop, tmp_path: Path) -> None:
    (problem,) = collect_observation(tmp_path).problems
    assert (
        problem == f"worker main: process {os.getpid()} lives but its loop does not run; restart the worker"
    )


def test_a_folder_without_a_state_segment_is_a_problem(tmp_path: Path) -> None:
    files = worker_files(tmp_path, "blue")
    files.folder.mkdir(parents=True)
    seen = collect_observation(tmp_path)
    assert [(worker.name, worker.alive, worker.heartbeat_age_s) for worker in seen.workers] == [
        ("blue", False, None)
    ]
    assert "No such file or directory" in seen.problems[0]
    files.error.write_text(
        json.dumps({"exit_code": 1, "message": "port red-in: the interface does not exist"})
    )
    (problem,) = collect_observation(tmp_path).problems
    assert problem == "worker blue: port red-in: the interface does not exist"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_an_error_file_that_is_none_does_no_harm(tmp_path: Path, text: str) -> None:
    files = worker_files(tmp_path, "blue")
    files.folder.mkdir(parents=True)
    files.state.write_bytes(b"no segment")
    files.error.write_text(text)
    (problem,) = collect_observation(tmp_path).problems
    assert "another version or damaged" in problem


def test_one_broken_worker_does_not_hide_the_others(loop: Loop, tmp_path: Path) -> None:
    broken = worker_files(tmp_path, "a-broken")
    broken.folder.mkdir()
    broken.state.write_bytes(b"x")
    loop.forward(1)
    seen = collect_observation(tmp_path)
    assert [worker.name for worker in seen.workers] == ["a-broken", "main"]
    assert [port.name for port in seen.ports] == ["red-in", "red-out"]


def test_a_full_output_is_a_problem_while_it_lasts(loop: Loop, tmp_path: Path) -> None:
    loop.publish(1)
    loop.forward(7)
    before = collect_observation(tmp_path)
    loop.forward(4)
    after = collect_observation(tmp_path, previous=before)
    assert any(
        "port red-out of worker main: 4 copies found its TX ring full" in text for text in after.problems
    )
    later = collect_observation(tmp_path, previous=after)
    assert not any("TX ring full" in text for text in later.problems)


@pytest.fixture
def port(loop: Loop, tmp_path: Path) -> PortRecord:
    return collect_observation(tmp_path).ports[0]


def test_faults_are_problems_since_the_start_or_since_the_last_look(port: PortRecord) -> None:
    faulty = port.model_copy(update={"sync_errors": 3})
    (problem,) = list_port_problems(faulty)
    assert problem.startswith(
        "port red-in of worker main: 3 failed syncs of memory:a since the worker's start"
    )
    assert list_port_problems(faulty, before=faulty) == ()
    (problem,) = list_port_problems(faulty.model_copy(update={"sync_errors": 5}), before=faulty)
    assert "2 failed syncs of memory:a since the last look" in problem
    # A restarted worker counts from 0 again.
    (problem,) = list_port_problems(faulty.model_copy(update={"sync_errors": 1}), before=faulty)
    assert "1 failed syncs" in problem


def test_frames_missed_since_the_last_look_are_a_problem(port: PortRecord) -> None:
    later = port.model_copy(update={"missed_frames": 9})
    (problem,) = list_port_problems(later, before=port)
    assert problem.startswith(
        "port red-in of worker main: 9 frames were lost before its RX ring since the last look"
    )
    assert list_port_problems(later, before=later) == ()


@pytest.mark.parametrize("field", ["received_frames", "offered_frames"])
def test_an_unbalanced_port_is_a_problem(port: PortRecord, field: str) -> None:
    (problem,) = list_port_problems(port.model_copy(update={field: 1}))
    assert "not accounted for" in problem


def test_a_stale_heartbeat_is_a_problem(loop: Loop, tmp_path: Path) -> None:
    (worker,) = collect_observation(tmp_path).workers
    running = worker.model_copy(update={"running": True, "heartbeat_age_s": STALE_HEARTBEAT_S * 2})
    (problem,) = list_worker_problems(running, loop.files)
    assert problem.startswith("worker main: no heartbeat for 4.0 s")
    fresh = running.model_copy(update={"heartbeat_age_s": STALE_HEARTBEAT_S / 2})
    assert list_worker_problems(fresh, loop.files) == ()


def test_a_process_is_itself_and_not_its_pid() -> None:
    ticks = read_start_ticks(os.getpid())
    assert ticks is not None
    assert is_alive(os.getpid(), ticks)
    assert not is_alive(os.getpid(), ticks + 1)
    assert not is_alive(0, 0)


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ticks = read_start_ticks(process.pid)
        assert ticks is not None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, not reaped
        assert not is_alive(process.pid, ticks)
    assert not is_alive(process.pid, ticks)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("no_link", "has no link since 2026-11-22 10:00:00 UTC, outage 3"),
        ("down", "is set down since 2026-11-22 10:00:00 UTC, outage 3"),
        ("gone", "memory:b is gone since 2026-11-22 10:00:00 UTC, outage 3: the interface does not exist"),
        ("reopening", "cannot be opened again since 2026-11-22 10:00:00 UTC, outage 3: too few"),
    ],
)
def test_a_lost_port_tells_its_story(loop: Loop, state: str, told: str) -> None:
    port = collect_observation(loop.files.folder.parents[1]).ports[1]
    assert list_port_problems(port) == ()
    since_ns = 1_795_341_600_000_000_000
    lost = {"state": state, "since_ns": since_ns, "outages": 3, "sync_errors": 9, "tx_full_frames": 0}
    error = {"open_error": "too few"} if state == "reopening" else {}
    (problem,) = list_port_problems(port.model_copy(update=lost | error), port)
    assert told in problem


def test_ports_of_one_region_swap(loop: Loop) -> None:
    ports = collect_observation(loop.files.folder.parents[1]).ports
    assert [port.swaps_with for port in ports] == [("red-out",), ("red-in",)]
