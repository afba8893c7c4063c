# SPDX-License-Identifier: Apache-2.0
"""The shape of `appliance status --json` for workers, ports and routes (ARCHITECTURE.md).

Records are values: frozen, comparable, and JSON by `model_dump(mode="json")`.
"""

from pydantic import BaseModel, ConfigDict

MEMBERSHIP_STATES = ("joined", "waiting", "failed")


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Account(_Record):
    """What became of received frames (law 5); `dropped_frames` maps every drop reason to its count."""

    received_frames: int = 0
    forwarded_frames: int = 0
    merged_frames: int = 0
    to_host_frames: int = 0
    dropped_frames: dict[str, int] = {}


class MembershipRecord(_Record):
    """A multicast group the worker asks the network for, because a route needs it (IGMPv3 RFC 3376, MLDv2 RFC 3810).

    `source` is None for any source; `vlans` are the tags of its frames, outermost first. `state` is "joined", "waiting"
    (reports cannot leave now: no interface, no link, no IPv6; it is joined when they can) or "failed" (the kernel
    refused; tried again every 10 s). `problem` says why.
    """

    interface: str
    vlans: tuple[int, ...] = ()
    group: str
    source: str | None
    state: str
    problem: str | None = None


class MembershipReport(_Record):
    """What a worker leaves in `joined.json`. `problem` is about all of them: memberships.json cannot be read."""

    pid: int
    memberships: tuple[MembershipRecord, ...] = ()
    problem: str | None = None


class WorkerRecord(_Record):
    """One worker. `heartbeat_age_s` is None where its state segment cannot be read."""

    name: str
    pid: int
    alive: bool
    running: bool
    generation: int
    published: int
    heartbeat_age_s: float | None
    restarts: int
    balanced: bool
    account: Account
    memberships: tuple[MembershipRecord, ...] = ()


class PortRecord(_Record):
    """One port: how it works and every counter of `struct fp_port_counters`. Slots are per ring.

    `state` is "up", "no_link", "down", "gone" or "reopening", since `since_ns` (CLOCK_REALTIME). The worker
    opens a lost port again by itself: `outages` and `reopened` count, `open_error` says why the last try
    failed. `swaps_with` names the ports of its worker that take its frames without a copy.
    """

    name: str
    worker: str
    device: str
    kind: str
    adapter: str
    region: int
    rx_rings: int
    tx_rings: int
    rx_slots: int
    tx_slots: int
    buffer_bytes: int
    state: str = "up"
    since_ns: int = 0
    outages: int = 0
    reopened: int = 0
    unconfirmed_frames: int = 0
    open_error: str | None = None
    swaps_with: tuple[str, ...] = ()
    received_frames: int
    received_bytes: int
    forwarded_frames: int
    merged_frames: int
    to_host_frames: int
    dropped_frames: dict[str, int]
    missed_frames: int
    offered_frames: int
    transmitted_frames: int
    transmitted_bytes: int
    tx_full_frames: int
    tx_too_long_frames: int
    swapped_frames: int
    copied_frames: int
    bursts: int
    sync_errors: int


class RouteRecord(_Record):
    """What a route matched since its worker started."""

    name: str
    frames: int
    bytes: int


class Observation(_Record):
    """One look at every worker of a runtime directory. `problems` are sentences for the operator."""

    workers: tuple[WorkerRecord, ...] = ()
    ports: tuple[PortRecord, ...] = ()
    routes: tuple[RouteRecord, ...] = ()
    problems: tuple[str, ...] = ()
