# SPDX-License-Identifier: Apache-2.0
"""Ports and the memory region that xdp: and memory: ports of one worker share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError, check_result, encode_name
from appliance.fastpath.handle import Handle

_LARGEST_FRAME_BYTES = 65536


@dataclass(frozen=True, slots=True)
class PortInfo:
    """How a port really works, read back from the kernel. Slots are per ring."""

    name: str  # in the configuration; empty where the port was described outside a state segment
    spec: str  # "netmap:ens4", as opened
    kind: str
    adapter: str
    region: int  # equal ids can swap buffers
    rx_rings: int
    tx_rings: int
    rx_slots: int
    tx_slots: int
    buffer_bytes: int  # the largest frame one slot holds
    sync: str = "calls"  # how its rings and the kernel meet: enum fp_sync
    busy_poll_us: int = 0  # with "busy_poll"
    hold_buffers: int = 0  # of its region, for frames that merges hold
    hold_bytes: int = 0  # of memory these take


def read_port_info(source: Any) -> PortInfo:
    """A `struct fp_port_info` as a value. A number this build has no name for stays a number ("7")."""
    return PortInfo(
        name=ffi.string(source.name).decode(errors="replace"),
        spec=ffi.string(source.spec).decode(errors="replace"),
        kind=names.KINDS.get(source.kind, str(source.kind)),
        adapter=names.ADAPTERS.get(source.adapter, str(source.adapter)),
        region=source.region,
        rx_rings=source.rx_rings,
        tx_rings=source.tx_rings,
        rx_slots=source.rx_slots,
        tx_slots=source.tx_slots,
        buffer_bytes=source.buffer_bytes,
        sync=names.SYNCS.get(source.sync, str(source.sync)),
        busy_poll_us=source.busy_poll_us,
        hold_buffers=source.hold_buffers,
        hold_bytes=source.hold_bytes,
    )


def plan_buffers(spec: str, ring_slots: int = 0) -> int:
    """Buffers a port will take from its region: 0 for netmap ports. Reads the interface's queues.

    NativeError where the spec, the interface or `ring_slots` is not right.
    """
    return check_result(lib.fp_port_plan_buffers(_build_config(spec, ring_slots)), f"port {spec}")


def _build_config(spec: str, ring_slots: int, flags: int = 0, host_classes: int = 0) -> Any:
    if not 0 <= ring_slots < 2**32:
        raise NativeError(names.E_INVALID, f"port {spec}: {ring_slots} ring slots")
    config = ffi.new("struct fp_port_config *")
    encoded = encode_name(spec, f"port {spec}")
    ffi.memmove(config.spec, encoded, len(encoded))
    config.ring_slots = ring_slots
    config.flags = flags
    config.host_classes = host_classes
    return config


class Region(Handle):
    """Buffers between which xdp: and memory: ports move frames by swapping indices."""

    def __init__(self, buffer_count: int, buffer_bytes: int = 2048) -> None:
        """`buffer_bytes` is 2048 or 4096. NativeError for other sizes or where memory is short."""
        what = f"memory region of {buffer_count} buffers of {buffer_bytes} bytes"
        if not (0 < buffer_count < 2**32 and 0 < buffer_bytes < 2**32):
            raise NativeError(names.E_INVALID, what)
        out = ffi.new("struct fp_region **")
        check_result(lib.fp_region_create(buffer_count, buffer_bytes, out), what)
        super().__init__(what, out[0], lib.fp_region_destroy)
        self.buffer_count = buffer_count
        self.buffer_bytes = buffer_bytes


class Port(Handle):
    """An open port. Make one with `Port.open`; `MemoryPort` adds the test doors of memory: ports."""

    def __init__(self, spec: str, pointer: Any, *needs: Handle) -> None:
        super().__init__(f"port {spec}", pointer, lib.fp_port_close, *needs)
        self.spec = spec

    @classmethod
    def open(
        cls,
        spec: str,
        region: Region | None = None,
        *,
        allow_emulated: bool = False,
        xdp_zerocopy: bool = False,
        xdp_generic: bool = False,
        ring_slots: int = 0,
        host_classes: Iterable[str] = (),
        busy_poll: tuple[int, int] | None = None,
        kloop: bool = False,
    ) -> Self:
        """Open a port as named ("netmap:ens4", "xdp:ens4-2", "memory:a").

        `region` is needed by xdp: and memory: ports. Each flag names a weaker or stronger mode that is
        taken or refused, never replaced. `ring_slots` is a power of two, 0 for the default (4096).
        `host_classes` ("arp", "ptp", …; xdp: only) are left to the host stack by the XDP program.
        `busy_poll` (microseconds, frames; xdp: only): SO_BUSY_POLL and SO_BUSY_POLL_BUDGET, preferred.
        `kloop` (netmap: only): a loop in the kernel syncs the rings; for workers that never sleep.
        NativeError says why the port cannot be opened; then the interface is as it was before.
        """
        flags = (
            (lib.FP_OPEN_ALLOW_EMULATED if allow_emulated else 0)
            | (lib.FP_OPEN_XDP_ZEROCOPY if xdp_zerocopy else 0)
            | (lib.FP_OPEN_XDP_GENERIC if xdp_generic else 0)
            | (lib.FP_OPEN_NETMAP_KLOOP if kloop else 0)
        )
        config = _build_config(spec, ring_slots, flags, names.parse_host_classes(host_classes))
        if busy_poll is not None:
            config.busy_poll_us, config.busy_poll_frames = busy_poll
        out = ffi.new("struct fp_port **")
        if region is None:
            check_result(lib.fp_port_open(config, ffi.NULL, out), f"port {spec}")
            return cls(spec, out[0])
        with region.use() as buffers:
            check_result(lib.fp_port_open(config, buffers, out), f"port {spec}")
            return cls(spec, out[0], region)

    def describe(self) -> PortInfo:
        """How the port really works; `name` is empty, the worker knows it."""
        info = ffi.new("struct fp_port_info *")
        with self.use() as port:
            check_result(lib.fp_port_describe(port, info), self._what)
        return read_port_info(info)


class MemoryPort(Port):
    """A memory: port and its test doors: inject what it receives, collect what it transmitted."""

    @classmethod
    def create(cls, name: str, region: Region, ring_slots: int = 0) -> Self:
        """Open `memory:<name>`."""
        return cls.open(f"memory:{name}", region, ring_slots=ring_slots)

    def inject(self, frame: bytes) -> None:
        """Copy a frame into the RX ring. NativeError (E_TABLE_FULL) where no slot is free."""
        view = ffi.from_buffer("const uint8_t[]", frame)
        with self.use() as port:
            check_result(lib.fp_memory_inject(port, view, len(frame)), self._what)

    def collect(self) -> bytes | None:
        """Take the oldest frame of the TX ring, or None."""
        room = ffi.new("uint8_t[]", _LARGEST_FRAME_BYTES)
        with self.use() as port:
            length = check_result(lib.fp_memory_collect(port, room, _LARGEST_FRAME_BYTES), self._what)
        return bytes(ffi.buffer(room, length)) if length else None

    def collect_all(self) -> list[bytes]:
        """Every frame of the TX ring, oldest first."""
        frames: list[bytes] = []
        while (frame := self.collect()) is not None:
            frames.append(frame)
        return frames
