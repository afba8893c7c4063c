# SPDX-License-Identifier: Apache-2.0
"""The native fast path as Python values: the only importer of the compiled extension.

In the order a frame meets them: `ports` (Region, Port, MemoryPort), `frames` (FrameKey, parse_frame),
`matches` (Match), `rewrites` (Rewrite), `table` (Route, Output, RouteTable), `worker` (LoopWorker), `state`
(StateSegment and its snapshots). `names` holds labels and limits, `errors` what a failed call raises.
"""

from appliance.fastpath.errors import ClosedError, NativeError
from appliance.fastpath.frames import FrameKey, parse_frame, read_host_class
from appliance.fastpath.matches import Match
from appliance.fastpath.names import DROP_REASONS, DropReason
from appliance.fastpath.ports import MemoryPort, Port, PortInfo, Region, plan_buffers
from appliance.fastpath.rewrites import Rewrite
from appliance.fastpath.state import PortCounters, PortHealth, RouteCounters, StateSegment, WorkerSnapshot
from appliance.fastpath.table import Output, Route, RouteTable
from appliance.fastpath.worker import LoopWorker

__all__ = [
    "DROP_REASONS",
    "ClosedError",
    "DropReason",
    "FrameKey",
    "LoopWorker",
    "Match",
    "MemoryPort",
    "NativeError",
    "Output",
    "Port",
    "PortCounters",
    "PortHealth",
    "PortInfo",
    "Region",
    "Rewrite",
    "Route",
    "RouteCounters",
    "RouteTable",
    "StateSegment",
    "WorkerSnapshot",
    "parse_frame",
    "plan_buffers",
    "read_host_class",
]
