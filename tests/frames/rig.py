# SPDX-License-Identifier: Apache-2.0
"""The true C loop over memory ports, with the slow model beside it."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from appliance.fastpath import (
    LoopWorker,
    MemoryPort,
    NativeError,
    Region,
    Route,
    RouteTable,
    StateSegment,
    names,
)

from .model import ModelPort, ModelWorker

DIGEST = bytes(range(32))


class Rig:
    """Ports "p0", "p1", ... of one worker; `port_regions` index `region_bytes`, the buffer sizes."""

    def __init__(
        self, state_path: Path, port_regions: Sequence[int], ring_slots: int, region_bytes: Sequence[int]
    ) -> None:
        self._stack = ExitStack()
        self.generation = 0
        with ExitStack() as stack:
            regions = [
                stack.enter_context(Region(2 * ring_slots * max(1, list(port_regions).count(index)), size))
                for index, size in enumerate(region_bytes)
            ]
            self.state = stack.enter_context(StateSegment.create(state_path))
            self.ports = [
                stack.enter_context(MemoryPort.create(f"p{index}", regions[region], ring_slots))
                for index, region in enumerate(port_regions)
            ]
            self.worker = stack.enter_context(LoopWorker(self.state))
            for index, port in enumerate(self.ports):
                assert self.worker.add_port(port, f"p{index}") == index
            self._stack = stack.pop_all()
        # A ring of n slots holds n - 1 frames: head == tail means none (netmap(4)).
        self.model = ModelWorker(
            [ModelPort(ring_slots - 1, region_bytes[region], region) for region in port_regions]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    def publish(self, routes: Sequence[Route]) -> None:
        """Offer a table to the worker and put it in the model; it counts from the next turn on."""
        self.generation += 1
        with RouteTable.build(routes) as table:
            self.state.publish(table, self.generation, DIGEST)
        self.model.routes = list(routes)

    def inject(self, index: int, frame: bytes) -> bool:
        """Let a frame arrive; False where it cannot: too long for a buffer, or the RX ring is full."""
        port = self.model.ports[index]
        if len(frame) > port.buffer_bytes or len(port.received) >= port.tx_free:
            return False
        try:
            self.ports[index].inject(frame)
        except NativeError as error:
            if error.code == names.E_TABLE_FULL:
                return False
            raise
        port.received.append(frame)
        return True

    def turn(self) -> int:
        """One turn of the loop and of the model."""
        received = self.worker.turn()
        assert received == self.model.turn()
        return received

    def run_dry(self) -> None:
        """Turns until nothing waits to be received."""
        while any(port.received for port in self.model.ports):
            self.turn()

    def collect(self) -> list[list[bytes]]:
        """What every port transmitted; the model's rings are emptied as well."""
        for port in self.model.ports:
            port.transmitted.clear()
        return [port.collect_all() for port in self.ports]

    def check_outputs(self) -> None:
        """Every output byte is as the model says, in order, on the right port and on no other."""
        wanted = [list(port.transmitted) for port in self.model.ports]
        assert self.collect() == wanted

    def check_account(self) -> None:
        """Law 5 holds, and every counter is as the model says."""
        for index, model in enumerate(self.model.ports):
            seen = self.state.read_port(index)
            dropped = sum(seen.dropped_frames.values())
            assert seen.received_frames == (
                seen.forwarded_frames + seen.merged_frames + seen.to_host_frames + seen.held_frames + dropped
            )
            assert (
                seen.offered_frames == seen.transmitted_frames + seen.tx_full_frames + seen.tx_too_long_frames
            )
            assert seen.swapped_frames + seen.copied_frames == seen.transmitted_frames
            for field in (
                "received_frames",
                "received_bytes",
                "forwarded_frames",
                "to_host_frames",
                "offered_frames",
            ):
                assert (field, getattr(seen, field)) == (field, model.counters[field])
            for field in ("transmitted_frames", "transmitted_bytes", "tx_full_frames", "tx_too_long_frames"):
                assert (field, getattr(seen, field)) == (field, model.counters[field])
            assert {label: count for label, count in seen.dropped_frames.items() if count} == dict(
                model.dropped
            )
            assert (seen.merged_frames, seen.sync_errors) == (0, 0)
        for counter, counted in self.model.route_counters.items():
            route = self.state.read_route(counter)
            assert (route.frames, route.bytes) == (counted["frames"], counted["bytes"])
