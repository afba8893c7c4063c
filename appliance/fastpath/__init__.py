# SPDX-License-Identifier: Apache-2.0
"""The native fast path as Python values: the only importer of the compiled extension.

In the order a frame meets them: `ports` (Region, Port, MemoryPort), `frames` (FrameKey, parse_frame),
`matches` (Match), `rewrites` (Rewrite), `media` (RouteMedia, PacingFormat, MergeConfig), `table` (Route, Output,
RouteTable), `worker` (LoopWorker), `state` (StateSegment and its snapshots), `observed` (what it shows of media),
`captured` (frames it keeps).
`names` holds labels and limits, `errors` what a failed call raises.
"""

from appliance.fastpath.captured import Captured, count_captured, read_captured
from appliance.fastpath.errors import ClosedError, NativeError
from appliance.fastpath.frames import FrameKey, parse_frame, read_host_class
from appliance.fastpath.matches import Match
from appliance.fastpath.media import MergeConfig, PacingFormat, RouteMedia, find_window_ns, plan_slots
from appliance.fastpath.names import DROP_REASONS, DropReason
from appliance.fastpath.observed import (
    Discovered,
    MergeCounters,
    MergePathCounters,
    Observed,
    PacingCounters,
)
from appliance.fastpath.ports import MemoryPort, Port, PortInfo, Region, plan_buffers
from appliance.fastpath.rewrites import Rewrite
from appliance.fastpath.state import PortCounters, PortHealth, RouteCounters, StateSegment, WorkerSnapshot
from appliance.fastpath.table import Output, Route, RouteTable
from appliance.fastpath.worker import LoopWorker

__all__ = [
    "DROP_REASONS",
    "Captured",
    "ClosedError",
    "Discovered",
    "DropReason",
    "FrameKey",
    "LoopWorker",
    "Match",
    "MemoryPort",
    "MergeConfig",
    "MergeCounters",
    "MergePathCounters",
    "NativeError",
    "Observed",
    "Output",
    "PacingCounters",
    "PacingFormat",
    "Port",
    "PortCounters",
    "PortHealth",
    "PortInfo",
    "Region",
    "Rewrite",
    "Route",
    "RouteCounters",
    "RouteMedia",
    "RouteTable",
    "StateSegment",
    "WorkerSnapshot",
    "count_captured",
    "find_window_ns",
    "parse_frame",
    "plan_buffers",
    "plan_slots",
    "read_captured",
    "read_host_class",
]
