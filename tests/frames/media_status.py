# SPDX-License-Identifier: Apache-2.0
"""A configuration, a true loop over memory ports, frames that a script injects: what `status --json` says of media."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from appliance.config.entries import resolve_tables
from appliance.config.holding import count_buffers, sum_hold_frames
from appliance.config.load import parse_config
from appliance.daemon.counters import assign_counters, list_indices, read_nothing, subtract_bases
from appliance.daemon.media import assign_media, list_media
from appliance.daemon.publish import build_table, read_port_indices
from appliance.fastpath import LoopWorker, MemoryPort, Region, StateSegment
from appliance.telemetry import collect_observation

GROUPS = {"a": "239.1.2.1", "b": "239.1.2.2"}
UNKNOWN_GROUP = "239.7.7.7"
SOURCE, UDP_SOURCE, UDP_PORT, DSCP = "192.0.2.1", 5000, 5004, 34
SSRC, OTHER_SSRC, PAYLOAD_TYPE = 0x01020304, 0x99, 96
TICKS = 90  # of the RTP clock, from one frame to the next
PAYLOAD_BYTES = 20
FRAME_BYTES = 14 + 20 + 8 + 12 + PAYLOAD_BYTES
SLOTS = 256
_PUBLISH_S = 0.2  # counters of merges come ten times a second
_MS_PER_S = 1000
_NS_PER_S = 1_000_000_000

Document = dict[str, Any]


@dataclass(frozen=True)
class Frame:
    """An RTP frame at port `at` ("a" or "b"); absent `ticks`: the timestamp goes with the number."""

    at: str
    number: int
    ticks: int | None = None
    ssrc: int = SSRC
    marker: bool = False
    group: str | None = None
    vlan: int | None = None

    def build(self) -> bytes:
        """Its bytes, FCS off."""
        ticks = self.number * TICKS if self.ticks is None else self.ticks
        rtp = bytes([0x80, PAYLOAD_TYPE | (0x80 if self.marker else 0)]) + (self.number % 65536).to_bytes(
            2, "big"
        )
        rtp += (ticks % 2**32).to_bytes(4, "big") + self.ssrc.to_bytes(4, "big") + bytes(PAYLOAD_BYTES)
        return build_datagram(self.group or GROUPS[self.at], rtp, self.vlan)


@dataclass(frozen=True)
class NotRtp:
    """A frame of the same flow that carries no RTP."""

    at: str
    group: str | None = None

    def build(self) -> bytes:
        """Its bytes: 14 + 20 + 8 + 4."""
        return build_datagram(self.group or GROUPS[self.at], bytes(4), None)


@dataclass(frozen=True)
class Burst:
    """Frames the loop takes at once: to it they come at the same time."""

    frames: Sequence[Frame | NotRtp]


@dataclass(frozen=True)
class Pause:
    """Nothing for at least so long."""

    ms: float


@dataclass(frozen=True)
class Gap:
    """Nothing for as long as so many frames take, at the rate of those before: how a long loss looks to the clock."""

    frames: int


Step = Frame | NotRtp | Burst | Pause | Gap


@dataclass
class Seen:
    """The document, and when the script began and ended (CLOCK_MONOTONIC)."""

    document: Document
    began_ns: int
    ended_ns: int = field(default_factory=time.monotonic_ns)


def build_datagram(group: str, payload: bytes, vlan: int | None) -> bytes:
    """Ethernet, IPv4 and UDP around `payload`; checksums are not looked at."""
    udp = b"".join(value.to_bytes(2, "big") for value in (UDP_SOURCE, UDP_PORT, 8 + len(payload), 0))
    ip = bytes([0x45, DSCP << 2]) + (28 + len(payload)).to_bytes(2, "big") + bytes.fromhex("0000000040110000")
    ip += IPv4Address(SOURCE).packed + IPv4Address(group).packed
    tag = b"" if vlan is None else bytes.fromhex("8100") + vlan.to_bytes(2, "big")
    return bytes.fromhex("01005e010201020000000001") + tag + bytes.fromhex("0800") + ip + udp + payload


def run_script(folder: Path, config: str, steps: Sequence[Step], ends: bool = True) -> Seen:
    """Publish the configuration as the daemon does, inject, and read the status once the loop has ended.

    Not `ends`: read it while the loop would go on.
    """
    loaded = parse_config(config, "media.yaml").config
    with _open_loop(folder, count_buffers(sum_hold_frames(loaded, "main"))) as (state, ports, worker):
        tables = resolve_tables(loaded)
        entries = tables.entries["main"]
        assigned = assign_counters({}, tables.list_fates("main"), read_nothing)
        counters = {"main": assign_media({}, assigned, entries, 1, time.monotonic_ns())}
        with build_table(
            "main", entries, read_port_indices(state), counters["main"], loaded.discover
        ) as table:
            state.publish(table, 1, bytes(32))
        worker.turn()
        began_ns = time.monotonic_ns()
        sent = 0
        for step in steps:
            if isinstance(step, Gap):
                time.sleep((time.monotonic_ns() - began_ns) / _NS_PER_S / sent * step.frames)
            elif isinstance(step, Pause):
                time.sleep(step.ms / _MS_PER_S)
            else:
                sent += _inject(step, ports, worker)
        if ends:
            state.request_stop()
            worker.run()  # its end publishes the counters of merges
        else:
            time.sleep(_PUBLISH_S)
            worker.turn()  # takes the time of the burst before
            worker.turn()
        media = list_media(counters, loaded.discover)
        seen = subtract_bases(collect_observation(folder, list_indices(counters), media=media), counters)
        return Seen(seen.model_dump(mode="json"), began_ns)


@contextmanager
def _open_loop(folder: Path, held: int) -> Iterator[tuple[StateSegment, dict[str, MemoryPort], LoopWorker]]:
    (folder / "workers" / "main").mkdir(parents=True)
    with (
        Region(3 * 2 * SLOTS + held) as region,
        MemoryPort.create("a", region, SLOTS) as a,
        MemoryPort.create("b", region, SLOTS) as b,
        MemoryPort.create("c", region, SLOTS) as out,
        StateSegment.create(folder / "workers" / "main" / "state") as state,
        LoopWorker(state, "poll") as worker,
    ):
        ports = {"a": a, "b": b, "out": out}
        for name, port in ports.items():
            worker.add_port(port, name)
        if held:
            worker.hold(0, region, held)
        yield state, ports, worker


def _inject(step: Frame | NotRtp | Burst, ports: dict[str, MemoryPort], worker: LoopWorker) -> int:
    """Frames injected, all taken in one turn."""
    frames = step.frames if isinstance(step, Burst) else [step]
    for frame in frames:
        ports[frame.at].inject(frame.build())
    assert worker.turn() == len(frames)
    ports["out"].collect_all()
    return len(frames)
