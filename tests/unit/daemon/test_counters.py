# SPDX-License-Identifier: Apache-2.0
"""Route counters: kept across generations, never mixed up."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.config.schema import MAX_ROUTES_PER_WORKER
from appliance.daemon.counters import RouteCounter, assign_counters, read_nothing, subtract_bases
from appliance.telemetry import Observation, RouteRecord

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


def test_new_routes_get_the_lowest_free_counters() -> None:
    first = assign_counters({}, {"x": "a", "y": "b"}, read_nothing)
    assert {name: counter.index for name, counter in first.items()} == {"x": 0, "y": 1}


def test_a_counter_in_use_until_now_is_not_free_yet() -> None:
    first = assign_counters({}, {"x": "a", "y": "b"}, read_nothing)
    second = assign_counters(first, {"y": "b", "z": "c"}, read_nothing)
    assert {name: counter.index for name, counter in second.items()} == {"y": 1, "z": 2}
    third = assign_counters(second, {"y": "b", "z": "c", "w": "d"}, lambda index: (10 + index, 100 + index))
    assert third["w"] == RouteCounter(index=0, base_frames=10, base_bytes=100, to="d")


def test_a_route_that_goes_elsewhere_keeps_its_counter() -> None:
    first = assign_counters({}, {"x": "a"}, read_nothing)
    second = assign_counters(first, {"x": "drop"}, lambda _: (5, 5))
    assert second["x"] == RouteCounter(index=0, to="drop")


def test_every_route_of_a_full_table_is_replaced() -> None:
    full = assign_counters({}, {f"r{n}": "" for n in range(MAX_ROUTES_PER_WORKER)}, read_nothing)
    other = assign_counters(
        full, {f"s{n}": "" for n in range(MAX_ROUTES_PER_WORKER)}, lambda index: (index, 0)
    )
    assert {counter.index for counter in other.values()} == set(range(MAX_ROUTES_PER_WORKER))
    assert all(counter.base_frames == counter.index for counter in other.values())


@given(st.lists(NAMES, min_size=1, max_size=10))
def test_any_history(history: list[list[str]]) -> None:
    """Counts per route, and what `status` shows of them, are those of the route since it was added."""
    shown = [0] * 64
    true: dict[str, int] = {}
    current: dict[str, RouteCounter] = {}
    for step, names in enumerate(history, 1):
        following = assign_counters(
            current, dict.fromkeys(names, "a"), lambda index: (shown[index], shown[index])
        )
        assert set(following) == set(names)
        indices = [counter.index for counter in following.values()]
        assert len(set(indices)) == len(indices)
        kept = {name: counter for name, counter in following.items() if name in current}
        assert kept == {name: current[name] for name in kept}
        true = {name: true.get(name, 0) if name in current else 0 for name in names}
        current = following
        for name, counter in current.items():
            shown[counter.index] += step
            true[name] += step
        seen = Observation(
            routes=tuple(
                RouteRecord(name=name, frames=shown[counter.index], bytes=shown[counter.index])
                for name, counter in current.items()
            )
        )
        corrected = subtract_bases(seen, {"main": current})
        assert {route.name: route.frames for route in corrected.routes} == true
