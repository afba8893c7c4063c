# SPDX-License-Identifier: Apache-2.0
"""Random frames, ports and route tables through the true loop: every byte, every counter as the model says.

For every example: received == forwarded + merged + to_host + sum(dropped), per port, and offered ==
transmitted + tx_full + tx_too_long (law 5), and what comes out is what the model says, in order.
"""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.fastpath import Route

from .rig import Rig
from .strategies import arrivals, route_tables

# Small rings fill; 256 slots hold several bursts. Region 1 takes longer frames than region 0.
RING_SLOTS = [4, 16, 256]
REGION_BYTES = [2048, 4096]


@given(st.data())
def test_random_traffic(tmpfs: Path, data: st.DataObject) -> None:
    regions = data.draw(st.lists(st.sampled_from([0, 0, 1]), min_size=1, max_size=9), label="regions")
    ring_slots = data.draw(st.sampled_from(RING_SLOTS), label="ring slots")
    with Rig(tmpfs / "state", regions, ring_slots, REGION_BYTES) as rig:
        routes: list[Route] = []
        for _ in range(data.draw(st.integers(1, 4), label="steps")):
            if data.draw(st.booleans(), label="publish"):
                routes = data.draw(route_tables(len(regions)), label="routes")
                rig.publish(routes)
            for index, frame in data.draw(
                st.lists(arrivals(routes, len(regions)), max_size=30), label="frames"
            ):
                rig.inject(index, frame)
            rig.run_dry()
            rig.turn()
            rig.check_account()
            if data.draw(st.booleans(), label="collect"):
                rig.check_outputs()
                rig.turn()  # an idle turn takes the collected slots back
        rig.check_outputs()
