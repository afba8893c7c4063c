# SPDX-License-Identifier: Apache-2.0
"""Every order of closing is safe, use after close raises, and nobody closes under a running loop."""

import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.fastpath import (
    ClosedError,
    FrameKey,
    LoopWorker,
    MemoryPort,
    NativeError,
    Port,
    Region,
    Route,
    RouteTable,
    StateSegment,
    names,
    plan_buffers,
)
from appliance.fastpath.handle import Handle

from .frame_builder import build_media_frame
from .waiting import wait_until

GROUP = IPv4Address("239.1.2.1")
FRAME = build_media_frame(GROUP, 6000, b"media")
ROUTE = Route.exact(FrameKey(0, GROUP, 6000), (0,), 0)


def open_all(tmpfs: Path) -> dict[str, Handle]:
    region = Region(64)
    port = MemoryPort.create("a", region, 16)
    state = StateSegment.create(tmpfs / "state")
    worker = LoopWorker(state)
    worker.add_port(port, "a")
    return {"region": region, "port": port, "state": state, "worker": worker}


@pytest.mark.parametrize("order", list(permutations(["region", "port", "state", "worker"])), ids="-".join)
def test_every_order_of_closing(tmpfs: Path, order: tuple[str, ...]) -> None:
    handles = open_all(tmpfs)
    for name in order:
        handles[name].close()
        handles[name].close()
    assert all(handle.closed for handle in handles.values())


def test_closing_closes_the_users_first(tmpfs: Path) -> None:
    handles = open_all(tmpfs)
    handles["region"].close()
    assert handles["port"].closed
    assert handles["worker"].closed
    assert not handles["state"].closed
    handles["state"].close()


@pytest.mark.parametrize(
    "use",
    [
        lambda handles: handles["port"].inject(FRAME),
        lambda handles: handles["port"].collect(),
        lambda handles: handles["port"].describe(),
        lambda handles: handles["state"].read_worker(),
        lambda handles: handles["state"].read_port(0),
        lambda handles: handles["state"].read_port_info(0),
        lambda handles: handles["state"].read_route(0),
        lambda handles: handles["state"].request_stop(),
        lambda handles: handles["worker"].turn(),
        lambda handles: handles["worker"].run(),
        lambda handles: handles["worker"].add_port(handles["port"], "a"),
        lambda handles: MemoryPort.create("b", handles["region"], 16),
        lambda handles: LoopWorker(handles["state"]),
    ],
)
def test_use_after_close_raises(tmpfs: Path, use: Callable[[dict[str, Handle]], object]) -> None:
    handles = open_all(tmpfs)
    for handle in handles.values():
        handle.close()
    with pytest.raises(ClosedError, match="is closed"):
        use(handles)


def test_a_closed_table_is_refused(tmpfs: Path) -> None:
    with StateSegment.create(tmpfs / "state") as state:
        table = RouteTable.build([])
        table.close()
        for use in (lambda: len(table), lambda: table.add(ROUTE), lambda: state.publish(table, 1, bytes(32))):
            with pytest.raises(ClosedError):
                use()


def test_nobody_closes_under_a_running_loop(tmpfs: Path) -> None:
    handles = open_all(tmpfs)
    state, worker, port = handles["state"], handles["worker"], handles["port"]
    assert isinstance(state, StateSegment)
    assert isinstance(worker, LoopWorker)
    assert isinstance(port, MemoryPort)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        wait_until(lambda: state.read_worker().running)
        with RouteTable.build([ROUTE]) as table:
            state.publish(table, 1, bytes(32))
        wait_until(lambda: state.read_worker().generation == 1)
        for handle in handles.values():
            with pytest.raises(ClosedError, match="runs in another thread"):
                handle.close()
        with pytest.raises(ClosedError, match="runs in another thread"):
            worker.turn()
        port.inject(FRAME)
        wait_until(lambda: state.read_port(0).transmitted_frames == 1)
        wait_until(lambda: port.collect() == FRAME)
    finally:
        state.request_stop()
        thread.join()
    handles["region"].close()
    state.close()


def test_a_port_without_a_region_is_refused() -> None:
    with pytest.raises(NativeError) as refused:
        Port.open("memory:a")
    assert refused.value.code == names.E_INVALID


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("memory:", names.E_SPEC),
        ("nosuch:a", names.E_SPEC),
        ("memory:" + 100 * "x", names.E_INVALID),
        ("memory:\0", names.E_INVALID),
        ("", names.E_INVALID),
    ],
)
def test_specs_of_no_known_form(spec: str, code: int) -> None:
    with Region(64) as region:
        for attempt in (lambda: Port.open(spec, region), lambda: plan_buffers(spec)):
            with pytest.raises(NativeError) as refused:
                attempt()
            assert refused.value.code == code


@pytest.mark.parametrize("ring_slots", [3, 1, 2**31, 2**33, -1])
def test_ring_sizes_that_are_none(ring_slots: int) -> None:
    with Region(64) as region, pytest.raises(NativeError) as refused:
        Port.open("memory:a", region, ring_slots=ring_slots)
    assert refused.value.code == names.E_INVALID


def test_a_region_too_small_is_refused_and_stays_whole() -> None:
    assert plan_buffers("memory:a", 16) == 32
    with Region(32) as region:
        with pytest.raises(NativeError) as refused:
            Port.open("memory:a", region, ring_slots=32)
        assert refused.value.code == names.E_REGION
        with Port.open("memory:a", region, ring_slots=16) as port:
            assert port.describe().rx_slots == 16


def test_a_full_ring_refuses_the_frame() -> None:
    with Region(64) as region, MemoryPort.create("a", region, 4) as port:
        for _ in range(3):
            port.inject(FRAME)
        with pytest.raises(NativeError) as refused:
            port.inject(FRAME)
        assert refused.value.code == names.E_TABLE_FULL


def test_a_frame_longer_than_a_buffer_is_refused() -> None:
    with Region(64) as region, MemoryPort.create("a", region, 4) as port, pytest.raises(NativeError):
        port.inject(bytes(2049))


@pytest.mark.parametrize("content", [b"", b"x" * 100, bytes(2**20)], ids=["empty", "short", "zeros"])
def test_a_file_that_is_no_state_segment(tmpfs: Path, content: bytes) -> None:
    path = tmpfs / "other"
    path.write_bytes(content)
    with pytest.raises(NativeError) as refused:
        StateSegment.open(path)
    assert refused.value.code == names.E_STATE_VERSION


def test_a_missing_file_says_so(tmpfs: Path) -> None:
    with pytest.raises(NativeError, match="No such file or directory") as refused:
        StateSegment.open(tmpfs / "missing")
    assert refused.value.code == names.E_SYSTEM
    assert refused.value.errno == 2


def is_not_mapped(address: object) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is None


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(is_not_mapped))
vlan_ids = st.integers(0, 4094)
tag_pairs = st.one_of(st.just((None, None)), st.tuples(vlan_ids, st.none()), st.tuples(vlan_ids, vlan_ids))
keys = st.builds(
    lambda port, address, udp_port, tags: FrameKey(port, address, udp_port, *tags),
    st.integers(0, 15),
    addresses,
    st.integers(0, 65535),
    tag_pairs,
)


@given(st.lists(keys, max_size=60), keys)
def test_a_table_is_a_dictionary(wanted: list[FrameKey], other: FrameKey) -> None:
    routes = {key: Route.exact(key, (number % 16,), number) for number, key in enumerate(wanted)}
    with RouteTable.build(routes.values()) as table:
        assert len(table) == len(routes)
        for key in [*wanted, other]:
            assert table.lookup(key) == routes.get(key)
        for route in routes.values():
            with pytest.raises(NativeError) as refused:
                table.add(route)
            assert refused.value.code in (names.E_DUPLICATE, names.E_TABLE_FULL)


def test_keys_that_differ_in_two_octets_only_are_told_apart() -> None:
    """Full of routes to one group: a lookup that took the hash for the key would soon find a wrong one."""
    with RouteTable() as table:
        for udp_port in range(names.MAX_ROUTES):
            table.add(Route.exact(FrameKey(0, GROUP, udp_port), (0,), udp_port))
        for vlan in (None, 0, 1):
            for udp_port in range(names.MAX_ROUTES, 65536):
                assert table.lookup(FrameKey(0, GROUP, udp_port, vlan)) is None


def test_a_full_table() -> None:
    with RouteTable() as table:
        for number in range(names.MAX_ROUTES):
            table.add(Route.exact(FrameKey(0, IPv6Address(number << 16), 1), (0,), number))
        assert len(table) == names.MAX_ROUTES
        with pytest.raises(NativeError) as refused:
            table.add(ROUTE)
        assert refused.value.code == names.E_TABLE_FULL


@pytest.mark.parametrize(
    "route",
    [
        Route.exact(FrameKey(0, GROUP, 6000), tuple(range(9)), 0),
        Route.exact(FrameKey(0, GROUP, 6000), (1, 1), 0),
        Route.exact(FrameKey(0, GROUP, 6000), (16,), 0),
        Route.exact(FrameKey(0, GROUP, 6000), (0,), names.MAX_ROUTES),
        Route.exact(FrameKey(0, GROUP, 65536), (0,), 0),
        Route.exact(FrameKey(-1, GROUP, 1), (0,), 0),
        Route.exact(FrameKey(0, GROUP, 6000, 4096), (0,), 0),
        Route.exact(FrameKey(0, GROUP, 6000, None, 1), (0,), 0),
    ],
)
def test_routes_outside_their_ranges(route: Route) -> None:
    with RouteTable() as table:
        with pytest.raises(NativeError) as refused:
            table.add(route)
        assert refused.value.code == names.E_INVALID
        assert len(table) == 0
