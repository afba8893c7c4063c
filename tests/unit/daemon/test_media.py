# SPDX-License-Identifier: Apache-2.0
"""Numbers of merges and observations across generations, and what the loop shows of them, in this process."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.config.schema import Config
from appliance.daemon.counters import (
    RouteCounter,
    assign_counters,
    list_indices,
    read_nothing,
    subtract_bases,
)
from appliance.daemon.media import assign_media, list_media
from appliance.daemon.publish import build_table, read_port_indices
from appliance.fastpath import LoopWorker, MemoryPort, Region, StateSegment
from appliance.fastpath.names import MAX_MERGES
from appliance.telemetry import Observation, collect_observation

HEAD = """\
version: 1
ports:
  - {name: a, device: "memory:a"}
  - {name: b, device: "memory:b"}
  - {name: out, device: "memory:c"}
routes:
"""
Counters = dict[str, RouteCounter]


def render_route(name: str, observe: str = "") -> str:
    """`p…` is protected, others are not."""
    host = sum(map(ord, name)) % 250
    seen = f"    observe: {observe}\n" if observe else ""
    if not name.startswith("p"):
        match = f"    match: {{port: a, group: 239.3.3.{host}, udp_port: 5004}}\n"
        return f"  - name: {name}\n{match}{seen}    outputs: [out]\n"
    paths = "".join(
        f"      {path}: {{port: {path}, group: 239.1.{at}.{host}, udp_port: 5004}}\n"
        for at, path in enumerate("ab")
    )
    window = "      class: A\n      frames_per_s: 1000\n"
    outputs = f"    outputs: [{{port: out, group: 239.9.9.{host}}}]\n"
    return f"  - name: {name}\n    protect:\n{paths}{window}{seen}{outputs}"


def build(*routes: str, discover: bool = False) -> Config:
    text = HEAD + "".join(routes) + f"discover: {str(discover).lower()}\n"
    return parse_config(text if routes else text.replace("routes:\n", ""), "c.yaml").config


def assign(before: Counters, config: Config, generation: int) -> Counters:
    tables = resolve_tables(config)
    assigned = assign_counters(before, tables.list_fates("main"), read_nothing)
    return assign_media(before, assigned, tables.entries["main"], generation, generation * 10)


def test_both_paths_have_the_merge_of_their_flow() -> None:
    counters = assign({}, build(render_route("p1"), render_route("p2", "rtp"), render_route("r")), 3)
    merges = {name: counter.merge for name, counter in counters.items()}
    assert merges["p1 path A"] == merges["p1 path B"]
    numbers = [merge.number for name in ("p1 path A", "p2 path A") if (merge := merges[name]) is not None]
    assert numbers == [0, 1]
    assert merges["r"] is None
    observed = {name for name, counter in counters.items() if counter.observed is not None}
    assert observed == {"p2 path A", "p2 path B"}


def test_what_stays_keeps_its_numbers() -> None:
    first = assign({}, build(render_route("p1", "rtp"), render_route("r", "rtp")), 3)
    second = assign(
        first, build(render_route("r", "{arrivals: true}"), render_route("p0"), render_route("p1", "rtp")), 4
    )
    for name in ("p1 path A", "p1 path B", "r"):
        assert second[name] == first[name]
    assert second["p0 path A"].merge is not None
    assert second["p0 path A"].merge.number == 1


def test_what_comes_back_is_something_else() -> None:
    """Its frames were not seen meanwhile: the gap would be taken for a loss."""
    first = assign({}, build(render_route("p1", "rtp"), render_route("r", "rtp")), 3)
    second = assign(first, build(render_route("r")), 4)
    third = assign(second, build(render_route("p1", "rtp"), render_route("r", "rtp")), 5)
    assert second["r"].observed is None
    assert third["r"].index == first["r"].index
    assert third["r"].observed is not None
    assert first["r"].observed is not None
    assert third["r"].observed.run != first["r"].observed.run
    for name in ("p1 path A", "p1 path B"):
        before, after = first[name].merge, third[name].merge
        assert before is not None
        assert after is not None
        assert (after.number, after.id != before.id) == (before.number, True)


def test_a_number_in_use_until_now_is_not_free_yet() -> None:
    first = assign({}, build(render_route("p1")), 3)
    second = assign(first, build(render_route("p2")), 4)
    assert second["p2 path A"].merge is not None
    assert second["p2 path A"].merge.number == 1


NAMES = st.lists(st.sampled_from(["p1", "p2", "p3", "r1", "r2"]), unique=True, max_size=5)
OBSERVE = st.dictionaries(st.sampled_from(["p1", "p2", "p3", "r1", "r2"]), st.just("rtp"))


@given(st.lists(st.tuples(NAMES, OBSERVE), min_size=1, max_size=6))
def test_any_history(history: list[tuple[list[str], dict[str, str]]]) -> None:
    """An id is of one flow for ever, numbers are each flow's own, and who stays keeps both."""
    ids: dict[int, str] = {}
    runs: dict[tuple[int, int], str] = {}
    current: Counters = {}
    for generation, (names, observe) in enumerate(history, 1):
        following = assign(
            current, build(*(render_route(name, observe.get(name, "")) for name in names)), generation
        )
        merges = {merge.flow: merge for counter in following.values() if (merge := counter.merge) is not None}
        assert set(merges) == {name for name in names if name.startswith("p")}
        assert len({merge.number for merge in merges.values()}) == len(merges)
        for flow, merge in merges.items():
            assert ids.setdefault(merge.id, flow) == flow
            assert 0 <= merge.number < MAX_MERGES
        for name, counter in following.items():
            if counter.observed is not None:
                assert runs.setdefault((counter.index, counter.observed.run), name) == name
            kept = current.get(name)
            if kept is not None:
                assert counter.merge == kept.merge
                assert counter.observed in (kept.observed, None) or kept.observed is None
        current = following


@dataclass
class Loop:
    """A worker whose loop turns when the test says so, with what a daemon remembers."""

    folder: Path
    state: StateSegment
    ports: list[MemoryPort]
    worker: LoopWorker
    counters: Counters = field(default_factory=dict)
    generation: int = 0
    discover: bool = False

    def publish(self, config: Config) -> None:
        self.generation += 1
        tables = resolve_tables(config)

        def read_base(index: int) -> tuple[int, int]:
            seen = self.state.read_route(index)
            return seen.frames, seen.bytes

        now_ns = self.state.read_worker().heartbeat_ns  # the loop's clock
        assigned = assign_counters(self.counters, tables.list_fates("main"), read_base)
        entries = tables.entries["main"]
        self.counters = assign_media(self.counters, assigned, entries, self.generation, now_ns)
        self.discover = config.discover
        ports = read_port_indices(self.state)
        with build_table("main", entries, ports, self.counters, config.discover) as table:
            self.state.publish(table, self.generation, bytes(32))
        self.worker.turn()

    def send(self, port: int, group: str, number: int) -> None:
        self.ports[port].inject(build_frame(group, number))
        self.worker.turn()

    def observe(self) -> Observation:
        counters = {"main": self.counters}
        media = list_media(counters, self.discover)
        seen = collect_observation(self.folder, list_indices(counters), media=media)
        return subtract_bases(seen, counters)


def build_frame(group: str, number: int) -> bytes:
    rtp = (
        bytes([0x80, 96])
        + number.to_bytes(2, "big")
        + (number * 90).to_bytes(4, "big")
        + bytes(4)
        + bytes(20)
    )
    udp = bytes.fromhex("1388138c") + (8 + len(rtp)).to_bytes(2, "big") + bytes(2)
    address = bytes(map(int, group.split(".")))
    ip = (
        bytes.fromhex("4500")
        + (28 + len(rtp)).to_bytes(2, "big")
        + bytes.fromhex("0000000040110000c0000201")
        + address
    )
    return bytes.fromhex("01005e01020102000000000108 00".replace(" ", "")) + ip + udp + rtp


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    (tmp_path / "workers" / "main").mkdir(parents=True)
    with (
        Region(3 * 2 * 64) as region,
        MemoryPort.create("a", region, 64) as a,
        MemoryPort.create("b", region, 64) as b,
        MemoryPort.create("c", region, 64) as out,
        StateSegment.create(tmp_path / "workers" / "main" / "state") as state,
        LoopWorker(state, "poll") as worker,
    ):
        for name, port in {"a": a, "b": b, "out": out}.items():
            worker.add_port(port, name)
        worker.turn()
        yield Loop(tmp_path, state, [a, b, out], worker)


def find_group(name: str, path: int | None = None) -> str:
    host = sum(map(ord, name)) % 250
    return f"239.3.3.{host}" if path is None else f"239.1.{path}.{host}"


def test_a_counter_that_was_another_routes_shows_nothing_of_it(loop: Loop) -> None:
    loop.publish(build(render_route("x", "{arrivals: true, pacing: {format: 1080p50, sender: N}}")))
    for number in (1, 2, 5):
        loop.send(0, find_group("x"), number)
    (route,) = loop.observe().routes
    assert route.rtp is not None
    assert route.pacing is not None
    assert (route.rtp.frames, route.rtp.lost_frames, route.pacing.cinst_frames > 0) == (3, 2, True)
    loop.publish(build())
    loop.publish(build(render_route("y", "rtp")))
    assert loop.counters["y"].index == 0
    (route,) = loop.observe().routes
    assert (route.name, route.frames, route.rtp, route.pacing) == ("y", 0, None, None)
    loop.send(0, find_group("y"), 9)
    (route,) = loop.observe().routes
    assert route.rtp is not None
    assert (route.frames, route.rtp.frames, route.rtp.lost_frames, route.pacing) == (1, 1, 0, None)


def test_observing_again_takes_no_pause_for_a_loss(loop: Loop) -> None:
    for observe, number in (("rtp", 1), ("rtp", 2), ("", 3), ("", 4), ("rtp", 5)):
        loop.publish(build(render_route("x", observe)))
        loop.send(0, find_group("x"), number)
    (route,) = loop.observe().routes
    assert route.rtp is not None
    assert (route.frames, route.rtp.frames, route.rtp.lost_frames) == (5, 1, 0)


def test_a_merge_goes_on_while_others_come_and_go(loop: Loop) -> None:
    for turn, others in enumerate(([], ["p2", "r"], ["r"], ["p2"])):
        loop.publish(build(render_route("p1"), *map(render_route, others)))
        for number in range(10 * turn, 10 * turn + 10):
            loop.send(0, find_group("p1", 0), number)
        for number in range(10 * turn, 10 * turn + 9):
            loop.send(1, find_group("p1", 1), number)
    assert len(loop.ports[2].collect_all()) == 40
    loop.state.request_stop()
    loop.worker.run()  # its end publishes the counters of all merges
    (p1, p2) = loop.observe().protected
    assert (p1.name, p1.a.received_frames, p1.b.received_frames) == ("p1", 40, 36)
    assert (p1.a.forwarded_frames, p1.b.merged_frames, p1.stray_frames) == (40, 36, 0)
    assert (p2.name, p2.a.received_frames, p2.since_ns > p1.since_ns) == ("p2", 0, True)


def test_flows_without_a_route_are_listed_where_that_is_asked_for(loop: Loop) -> None:
    loop.publish(build(render_route("x"), discover=True))
    loop.send(1, "239.7.7.7", 1)
    (flow,) = loop.observe().discovered
    assert (flow.port, flow.destination, flow.frames) == ("b", "239.7.7.7", 1)
    for number in range(1030):
        loop.send(0, f"239.8.{number >> 8}.{number & 255}", 1)
    seen = loop.observe()
    assert (len(seen.discovered), seen.workers[0].evicted_flows) == (1024, 1031 - 1024)
    loop.publish(build(render_route("x")))
    seen = loop.observe()
    assert (seen.discovered, seen.workers[0].evicted_flows) == ((), 0)
