# SPDX-License-Identifier: Apache-2.0
"""Tables published to a true loop over memory: ports, in this process."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from appliance.config.entries import resolve_tables
from appliance.config.load import Loaded, parse_config
from appliance.daemon import publish
from appliance.daemon.counters import RouteCounter
from appliance.daemon.publish import build_table, publish_table, read_port_indices
from appliance.errors import NotAcknowledged, WorkerError
from appliance.fastpath import FrameKey, LoopWorker, MemoryPort, Region, RouteTable, StateSegment

TEXT = """\
version: 1
ports:
  - {name: blue-out, device: "memory:c"}
  - {name: red-in, device: "memory:a"}
  - {name: red-out, device: "memory:b"}
routes:
  - name: camera-1
    match: {port: red-in, vlan: 100, group: 239.1.2.1, udp_port: 6000}
    outputs: [red-out, blue-out]
"""
COUNTERS = {"camera-1": RouteCounter(index=5)}


def load(text: str = TEXT) -> Loaded:
    return parse_config(text, "c.yaml")


@dataclass
class Loop:
    """A worker whose loop turns when the test says so."""

    state: StateSegment
    worker: LoopWorker


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """Its ports were opened in another order than the configuration has them."""
    with (
        Region(3 * 2 * 64) as region,
        MemoryPort.create("a", region, 64) as red_in,
        MemoryPort.create("b", region, 64) as red_out,
        MemoryPort.create("c", region, 64) as blue_out,
        StateSegment.create(tmp_path / "state") as state,
        LoopWorker(state, "poll") as worker,
    ):
        for name, port in {"red-in": red_in, "red-out": red_out, "blue-out": blue_out}.items():
            worker.add_port(port, name)
        yield Loop(state, worker)


def build(worker: str, loaded: Loaded, loop: Loop) -> RouteTable:
    entries = resolve_tables(loaded.config).entries[worker]
    return build_table(worker, entries, read_port_indices(loop.state), COUNTERS)


def test_indices_are_those_of_the_running_worker(loop: Loop) -> None:
    assert read_port_indices(loop.state) == {"red-in": 0, "red-out": 1, "blue-out": 2}


def test_table(loop: Loop) -> None:
    with build("main", load(), loop) as table:
        assert len(table) == 1
        found = table.lookup(FrameKey(0, IPv4Address("239.1.2.1"), 6000, vlan=100))
        assert found is not None
        assert ([output.port for output in found.outputs], found.counter) == ([1, 2], 5)
        assert table.lookup(FrameKey(0, IPv4Address("239.1.2.1"), 6000)) is None


def test_a_port_the_worker_has_not(loop: Loop) -> None:
    text = TEXT.replace("blue-out", "green-out")
    with pytest.raises(WorkerError, match="worker main: has not opened green-out; restart it"):
        build("main", load(text), loop)


def publish_once(loop: Loop, generation: int, alive: bool = True) -> None:
    with build("main", load(), loop) as table:
        publish_table("main", loop.state, table, generation, load().digest, lambda: alive)


def test_acknowledged_by_a_turn(loop: Loop) -> None:
    stop = threading.Event()

    def turn() -> None:
        while not stop.is_set():
            loop.worker.turn()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        publish_once(loop, 3)
        publish_once(loop, 4)
    finally:
        stop.set()
        thread.join()
    seen = loop.state.read_worker()
    assert (seen.generation, seen.published, seen.digest.hex()) == (4, 4, load().digest)


def test_not_acknowledged(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "ACKNOWLEDGE_LIMIT_S", 0.05)
    wanted = "worker main: still uses generation 0, generation 1 was published"
    with pytest.raises(NotAcknowledged, match=wanted):
        publish_once(loop, 1)
    # The next one waits for it first.
    with pytest.raises(NotAcknowledged, match=wanted):
        publish_once(loop, 2)
    assert loop.state.read_worker().published == 1


def test_a_worker_that_dies_meanwhile(loop: Loop) -> None:
    with pytest.raises(WorkerError, match="worker main: ended before it used generation 1"):
        publish_once(loop, 1, alive=False)


def test_ports_that_learn_together_have_one_number_of_their_own() -> None:
    text = TEXT.split("routes:")[0] + (
        '  - {name: c1, device: "memory:d"}\n  - {name: c2, device: "memory:e"}\n  - {name: c3, device: "memory:f"}\n'
        "cross_connects:\n  - {name: floor, ports: [c1, c2, c3], learn: true}\n"
        "  - {name: cable, ports: [red-in, red-out]}\n"
    )
    entries = resolve_tables(load(text).config).entries["main"]
    indices = {"floor c1 to others": 7, "floor c2 to others": 3, "floor c3 to others": 9}
    counters = {name: RouteCounter(index=index) for name, index in indices.items()}
    counters |= {
        name: RouteCounter(index=1) for name in ("cable red-in to red-out", "cable red-out to red-in")
    }
    assert publish.number_groups(entries, counters) == {"floor": 4}
    del counters["floor c2 to others"]
    assert publish.number_groups(entries, {"floor c2 to others": RouteCounter(index=12), **counters}) == {
        "floor": 8
    }
