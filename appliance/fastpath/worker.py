# SPDX-License-Identifier: Apache-2.0
"""The forwarding loop. One thread per worker; the C code runs without the interpreter's lock."""

from collections.abc import Iterable
from contextlib import ExitStack

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import ClosedError, check_result, encode_name
from appliance.fastpath.handle import Handle
from appliance.fastpath.ports import Port, Region
from appliance.fastpath.state import StateSegment


class LoopWorker(Handle):
    """A C worker over a state segment and ports, which it uses and does not own."""

    def __init__(self, state: StateSegment, wait: str = "adaptive") -> None:
        """`wait` is "poll", "busy" or "adaptive"."""
        out = ffi.new("struct fp_worker **")
        what = f"worker of {state.path}"
        with state.use() as segment:
            check_result(lib.fp_worker_create(segment, names.parse_wait(wait), out), what)
            super().__init__(what, out[0], lib.fp_worker_destroy, state)
        self._port_count = 0

    def add_port(self, port: Port, name: str) -> int:
        """Give the loop a port before its first turn; returns its index. `name` is the configuration's."""
        encoded = encode_name(name, f"port {name}")
        with self.use() as worker, port.use() as native_port:
            check_result(lib.fp_worker_add_port(worker, native_port, encoded), f"port {name} ({port.spec})")
            self._depend_on(port)
            self._port_count += 1
            return self._port_count - 1

    def pair_host(self, port: int, host: int, classes: Iterable[str], mac: bytes | None = None) -> None:
        """Make port `host` the host stack's side of port `port`, both indices, before the first turn.

        Frames of `port` no route takes go there where their class ("arp", "ptp", …) is one of `classes`;
        all that comes from there leaves by `port`. `mac` is the interface's, None: it is asked for.
        """
        bits = names.parse_host_classes(classes)
        address = ffi.NULL if mac is None else ffi.new("uint8_t[6]", mac)
        with self.use() as worker:
            result = lib.fp_worker_pair_host(worker, port, host, bits, address)
            check_result(result, f"{self._what}: host port {host} of port {port}")

    def hold(self, port: int, region: Region | None, buffers: int) -> None:
        """Take buffers of port `port`'s memory for frames that merges hold, before the first turn, once a region.

        `region` is that of xdp: and memory: ports, None of netmap ones. NativeError E_REGION where there are fewer.
        """
        what = f"{self._what}: {buffers} buffers of port {port} for frames that are held"
        with ExitStack() as stack:
            worker = stack.enter_context(self.use())
            memory = ffi.NULL if region is None else stack.enter_context(region.use())
            check_result(lib.fp_worker_hold(worker, port, memory, buffers), what)

    def turn(self) -> int:
        """Table switch, a burst from every RX ring, one sync per port. Returns the frames received."""
        with self.use() as worker:
            return check_result(lib.fp_worker_turn(worker), self._what)

    def run(self) -> None:
        """Turns until a stop is requested in the state segment, then flushes the TX rings."""
        with self.use() as worker:
            check_result(lib.fp_worker_run(worker), self._what)

    def _acquire(self) -> None:
        # One thread drives a worker: a second one, or a close, is refused instead of waiting.
        if not self._guard.acquire(blocking=False):
            raise ClosedError(f"{self._what} runs in another thread; request a stop and wait for its end")
