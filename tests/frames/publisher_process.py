# SPDX-License-Identifier: Apache-2.0
"""Publishes tables from a process of its own, as the daemon does: publisher_process.py STATE GENERATIONS.

The tables are large and have the one route that matters in different places, to port 1 or to port 2 in turn:
copying one takes long enough for frames to come in between, and a worker that looked into a half-written
table would miss the route.
"""

import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from appliance.fastpath import FrameKey, Route, RouteTable, StateSegment, names

ROUTE_KEY = FrameKey(0, IPv4Address("239.1.2.1"), 6000)
OTHER = IPv4Address("239.1.2.2")
TABLES = 3


def build_tables() -> list[RouteTable]:
    fillers = [Route.exact(FrameKey(1, OTHER, udp_port), (0,), 1) for udp_port in range(names.MAX_ROUTES - 1)]
    tables = []
    for number in range(TABLES):
        place = len(fillers) * number // TABLES
        route = Route.exact(ROUTE_KEY, (1 + number % 2,), 0)
        tables.append(RouteTable.build([*fillers[:place], route, *fillers[place:]]))
    return tables


def main() -> None:
    tables = build_tables()
    with StateSegment.open(Path(sys.argv[1])) as state:
        for generation in range(1, int(sys.argv[2]) + 1):
            state.publish(tables[generation % TABLES], generation, bytes(names.DIGEST_BYTES))
            while state.read_worker().generation != generation:
                time.sleep(0.0001)


if __name__ == "__main__":
    main()
