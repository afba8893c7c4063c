# SPDX-License-Identifier: Apache-2.0
"""What a worker is told, and when: a true loop in this process, which is also the process that is told."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.load import Loaded, parse_config
from appliance.config.memberships import load_memberships
from appliance.config.plan import build_specs
from appliance.config.worker_spec import MEMBERSHIPS_CHANGED, worker_files
from appliance.daemon import publish
from appliance.daemon.launch import RunningWorker
from appliance.daemon.supervisor import Supervisor
from appliance.daemon.watch import Watch
from appliance.errors import NotAcknowledged
from appliance.fastpath import LoopWorker, MemoryPort, Region, StateSegment
from appliance.host.processes import Process

# Ports of the network in the configuration, memory in the loop: publishing goes by their names.
TEXT = """\
version: 1
ports:
  - {name: red-in, device: "xdp:ens4"}
  - {name: red-out, device: "xdp:ens5"}
routes:
  - {name: camera-1, match: {port: red-in, group: 239.1.2.1, udp_port: 6000}, outputs: [red-out]}
  - {name: camera-2, match: {port: red-in, group: 239.1.2.2, udp_port: 6000}, outputs: [red-out]}
"""


def load(text: str = TEXT) -> Loaded:
    return parse_config(text, "c.yaml")


class Told:
    """The worker's side: which groups its file named each time it was signalled."""

    def __init__(self, worker: RunningWorker) -> None:
        self._worker = worker
        self.seen: list[tuple[int, list[str]]] = []

    def read(self, *_: object) -> None:
        groups = [str(member.group)[-1] for member in load_memberships(self._worker.files.memberships)]
        self.seen.append((self._worker.state.read_worker().generation, groups))


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """One worker runs: this process. Its loop turns in a thread."""
    watch = Watch(lambda name: None, lambda name: None)
    supervisor = Supervisor(tmp_path, watch)
    files = worker_files(tmp_path, "main")
    files.folder.mkdir(parents=True)
    with (
        Region(2 * 2 * 64) as region,
        MemoryPort.create("a", region, 64) as red_in,
        MemoryPort.create("b", region, 64) as red_out,
        StateSegment.create(files.state) as state,
        LoopWorker(state, "poll") as worker,
    ):
        worker.add_port(red_in, "red-in")
        worker.add_port(red_out, "red-out")
        process = Process(os.getpid(), os.pidfd_open(os.getpid()), child=False)
        spec = build_specs(load().config)["main"]
        supervisor.running["main"] = RunningWorker(spec, files, process, state)
        stop = threading.Event()
        thread = threading.Thread(target=_turn, args=(worker, stop))
        thread.start()
        yield supervisor
        stop.set()
        thread.join()
        process.release()


def _turn(worker: LoopWorker, stop: threading.Event) -> None:
    while not stop.wait(0.001):
        worker.turn()


@pytest.fixture
def told(supervisor: Supervisor) -> Iterator[Told]:
    made = Told(supervisor.running["main"])
    before = signal.signal(MEMBERSHIPS_CHANGED, made.read)
    yield made
    signal.signal(MEMBERSHIPS_CHANGED, before)


def test_joined_before_the_table_and_left_after_it(supervisor: Supervisor, told: Told) -> None:
    supervisor.publish(load(), 1, {})
    supervisor.publish(load(TEXT.replace("239.1.2.1", "239.1.2.3")), 2, {})
    # (Generation in use, groups): of both tables until the new one is used.
    assert told.seen == [(0, ["1", "2"]), (1, ["1", "2"]), (1, ["1", "2", "3"]), (2, ["2", "3"])]


def test_a_worker_whose_table_is_right_is_told_again(supervisor: Supervisor, told: Told) -> None:
    """A daemon may have died between the table and the memberships."""
    supervisor.publish(load(), 1, {})
    supervisor.running["main"].files.memberships.write_text("[]")
    supervisor.publish(load(), 1, {})
    assert told.seen[-1] == (1, ["1", "2"])


def test_a_table_that_is_not_taken_leaves_nothing(
    supervisor: Supervisor, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.publish(load(), 1, {})
    monkeypatch.setattr(publish, "ACKNOWLEDGE_LIMIT_S", -1.0)
    with pytest.raises(NotAcknowledged):
        supervisor.publish(load(TEXT.replace("239.1.2.1", "239.1.2.3")), 2, {})
    assert told.seen[-1][1] == ["1", "2", "3"]


def test_a_damaged_file_is_replaced(supervisor: Supervisor, told: Told) -> None:
    supervisor.running["main"].files.memberships.write_text("{")
    told.seen.clear()
    supervisor.publish(load(), 1, {})
    assert told.seen[-1] == (1, ["1", "2"])
