# SPDX-License-Identifier: Apache-2.0
"""Flows no route takes, beside a dictionary in order of age."""

from collections import OrderedDict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .observer_process import observe

CAPACITY = 1024
Flow = tuple[int, int]
# (address, UDP port), frames of them in a row, SSRC or 0 where they are not RTP. The ports make more than fit.
arrivals = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 600), st.integers(1, 3), st.integers(0, 5)), max_size=400
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1500), arrivals)
def test_the_flows_seen_last_are_listed(crowd: int, seen: list[tuple[int, int, int, int]]) -> None:
    model: OrderedDict[Flow, list[int]] = OrderedDict()
    evicted, now_ns, events = 0, 5, []
    for address, port, frames, ssrc in [*((9, 1000 + index, 1, 0) for index in range(crowd)), *seen]:
        for _ in range(frames):
            now_ns += 3
            events.append(f"see {now_ns} 100 {address} {port} {ssrc}")
            flow = model.setdefault((address, port), [0, 0, 0, now_ns, now_ns, ssrc])
            model.move_to_end((address, port))
            flow[:3] = flow[0] + 1, flow[1] + 100, flow[2] + (ssrc != 0)
            flow[4:] = now_ns, ssrc
            if len(model) > CAPACITY:
                model.popitem(last=False)
                evicted += 1
    told = observe([*events, "read"])[-1]
    assert sorted(told["flows"]) == sorted([*flow, *counters] for flow, counters in model.items())
    assert told["evicted_flows"] == evicted
