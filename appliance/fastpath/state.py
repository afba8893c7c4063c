# SPDX-License-Identifier: Apache-2.0
"""The state segment of a worker: counters under a seqlock, port descriptions, the published route table."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError, check_result
from appliance.fastpath.handle import Handle
from appliance.fastpath.observed import (
    Discovered,
    MergeCounters,
    Observed,
    PacingCounters,
    read_discovered,
    read_merge,
    read_observed,
    read_pacing,
)
from appliance.fastpath.ports import PortInfo, read_port_info
from appliance.fastpath.table import RouteTable


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """The worker's own fields, consistent in themselves. Times as in `struct fp_worker_snapshot`."""

    generation: int  # of the table in use; 0 before the first
    published: int  # generation offered last
    digest: bytes  # SHA-256 of the configuration offered last; zeros before the first
    pid: int
    pid_start_ticks: int  # field 22 of /proc/PID/stat: tells a reused pid
    started_ns: int  # CLOCK_REALTIME
    heartbeat_ns: int  # CLOCK_MONOTONIC
    loops: int
    running: bool
    port_count: int
    stop_requested: bool


@dataclass(frozen=True, slots=True)
class PortCounters:
    """`struct fp_port_counters`; `dropped_frames` maps every drop label to its count."""

    received_frames: int
    received_bytes: int
    forwarded_frames: int
    merged_frames: int
    to_host_frames: int
    held_frames: int  # now, waiting for their turn
    dropped_frames: dict[str, int]
    missed_frames: int  # lost before the RX ring, not in received
    passed_to_host_frames: int  # left to the host stack by the XDP program, not in received
    offered_frames: int
    transmitted_frames: int
    transmitted_bytes: int
    tx_full_frames: int
    tx_too_long_frames: int
    swapped_frames: int
    copied_frames: int
    bursts: int
    sync_errors: int


@dataclass(frozen=True, slots=True)
class PortHealth:
    """`struct fp_port_health`: whether a port can move frames, since when, and how often it could not."""

    state: str  # "up", "no_link", "down", "gone", "reopening"
    since_ns: int  # CLOCK_REALTIME
    outages: int
    reopened: int
    unconfirmed_frames: int
    open_error: str | None  # why the last try to open it again failed; None where it did not


@dataclass(frozen=True, slots=True)
class RouteCounters:
    """Frames and bytes a route matched, counted from the worker's start across generations."""

    frames: int
    bytes: int


class StateSegment(Handle):
    """A mapped state segment. The file outlives every handle (law 1)."""

    def __init__(self, path: Path, pointer: Any) -> None:
        super().__init__(f"state segment {path}", pointer, lib.fp_state_close)
        self.path = path

    @classmethod
    def create(cls, path: Path) -> "StateSegment":
        """Create the file anew, all counters 0. Readers of an older file keep that one."""
        out = ffi.new("struct fp_state **")
        check_result(lib.fp_state_create(os.fsencode(path), out), f"state segment {path}")
        return cls(path, out[0])

    @classmethod
    def open(cls, path: Path) -> "StateSegment":
        """Map an existing file. E_SYSTEM where it cannot be opened, E_STATE_VERSION where it is not ours."""
        out = ffi.new("struct fp_state **")
        check_result(lib.fp_state_open(os.fsencode(path), out), f"state segment {path}")
        return cls(path, out[0])

    def read_worker(self) -> WorkerSnapshot:
        """NativeError E_TORN where the worker died in the middle of a write."""
        out = ffi.new("struct fp_worker_snapshot *")
        with self.use() as state:
            check_result(lib.fp_state_read_worker(state, out), self._what)
        return WorkerSnapshot(
            generation=out.generation,
            published=out.published,
            digest=bytes(ffi.buffer(out.digest)),
            pid=out.pid,
            pid_start_ticks=out.pid_start_ticks,
            started_ns=out.started_ns,
            heartbeat_ns=out.heartbeat_ns,
            loops=out.loops,
            running=bool(out.running),
            port_count=out.port_count,
            stop_requested=bool(out.stop_requested),
        )

    def read_port_info(self, port: int) -> PortInfo:
        """How port `port` (index in the worker) works. NativeError E_INVALID where there is no such port."""
        out = ffi.new("struct fp_port_info *")
        with self.use() as state:
            check_result(lib.fp_state_read_port_info(state, port, out), f"{self._what}: port {port}")
        return read_port_info(out)

    def read_port(self, port: int) -> PortCounters:
        """The counters of port `port`; the balance equations hold in every snapshot."""
        out = ffi.new("struct fp_port_counters *")
        with self.use() as state:
            check_result(lib.fp_state_read_port(state, port, out), f"{self._what}: port {port}")
        values = {field: getattr(out, field) for field in _PLAIN_PORT_COUNTERS}
        counts = ffi.unpack(out.dropped_frames, len(names.DROP_LABELS))
        dropped = dict(zip(names.DROP_LABELS, counts, strict=True))
        return PortCounters(dropped_frames=dropped, **values)

    def read_port_health(self, port: int) -> PortHealth:
        """Whether port `port` can move frames."""
        out = ffi.new("struct fp_port_health *")
        with self.use() as state:
            check_result(lib.fp_state_read_port_health(state, port, out), f"{self._what}: port {port}")
        error = names.error_text(out.error) if out.error else None
        return PortHealth(
            state=names.PORT_STATES.get(out.state, str(out.state)),
            since_ns=out.since_ns,
            outages=out.outages,
            reopened=out.reopened,
            unconfirmed_frames=out.unconfirmed_frames,
            open_error=f"{error} ({os.strerror(out.error_errno)})" if out.error_errno else error,
        )

    def read_route(self, counter: int) -> RouteCounters:
        """The counters with index `counter`."""
        out = ffi.new("struct fp_route_counters *")
        with self.use() as state:
            subject = f"{self._what}: route counter {counter}"
            check_result(lib.fp_state_read_route(state, counter, out), subject)
        return RouteCounters(frames=out.frames, bytes=out.bytes)

    def read_observed(self, counter: int) -> Observed:
        """What was seen of the route with this counter. E_INVALID where none so far was observed."""
        out = ffi.new("struct fp_observed *")
        with self.use() as state:
            subject = f"{self._what}: observation {counter}"
            check_result(lib.fp_state_read_observed(state, counter, out), subject)
        return read_observed(out)

    def read_pacing(self, counter: int) -> PacingCounters:
        """Cinst and VRX of the route with this counter. E_INVALID as `read_observed`."""
        out = ffi.new("struct fp_pacing_counters *")
        with self.use() as state:
            check_result(lib.fp_state_read_pacing(state, counter, out), f"{self._what}: pacing {counter}")
        return read_pacing(out)

    def read_merge(self, number: int) -> tuple[int, MergeCounters]:
        """The id of the merge whose counters these are, and the counters, at most a tenth of a second old.

        E_INVALID where merge `number` has none yet.
        """
        merge_id, out = ffi.new("uint64_t *"), ffi.new("struct fp_merge_counters *")
        with self.use() as state:
            check_result(
                lib.fp_state_read_merge(state, number, merge_id, out), f"{self._what}: merge {number}"
            )
        return merge_id[0], read_merge(out)

    def read_discovered(self) -> tuple[Discovered, ...]:
        """Flows that no route took, the newest first; a table must ask for them (`RouteTable.set_discovery`)."""
        out = ffi.new("struct fp_discovered *")
        with self.use() as state:
            flows = []
            for index in range(lib.fp_state_count_discovered(state)):
                check_result(lib.fp_state_read_discovered(state, index, out), f"{self._what}: flow {index}")
                flows.append(read_discovered(out))
        return tuple(sorted(flows, key=lambda flow: flow.last_ns, reverse=True))

    def count_evicted(self) -> int:
        """Flows without a route that made room for newer ones."""
        with self.use() as state:
            return lib.fp_state_count_evicted(state)

    def publish(self, table: RouteTable, generation: int, digest: bytes) -> None:
        """Offer a table to the worker, which takes it at a burst boundary.

        `generation` is above the last one, `digest` the SHA-256 of the configuration (DIGEST_BYTES).
        NativeError E_NOT_ACKNOWLEDGED while the last one is pending, E_INVALID where the table names a
        port the worker has not. The old table then stays in use.
        """
        if len(digest) != names.DIGEST_BYTES or not 0 < generation < 2**64:
            seen = f"generation {generation}, digest of {len(digest)} bytes"
            raise NativeError(names.E_INVALID, f"{self._what}: {seen}; {names.DIGEST_BYTES} bytes wanted")
        native_digest = ffi.from_buffer("const uint8_t[]", digest)
        with self.use() as state, table.use() as routes:
            result = lib.fp_state_publish(state, routes, generation, native_digest)
            check_result(result, f"{self._what}: publish of generation {generation}")

    def request_stop(self) -> None:
        """Ask the worker to end its loop; from any process."""
        with self.use() as state:
            lib.fp_state_request_stop(state)


_PLAIN_PORT_COUNTERS: tuple[str, ...] = tuple(
    field for field, _ in ffi.typeof("struct fp_port_counters").fields if field != "dropped_frames"
)
