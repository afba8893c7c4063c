# SPDX-License-Identifier: Apache-2.0
"""The shape of `appliance status --json` for workers, ports, routes and media (ARCHITECTURE.md).

Records are values: frozen, comparable, and JSON by `model_dump(mode="json")`.
"""

from pydantic import BaseModel, ConfigDict

from appliance.fastpath import MergePathCounters, Observed, PacingCounters

MEMBERSHIP_STATES = ("joined", "waiting", "failed")


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Account(_Record):
    """What became of received frames (law 5); `dropped_frames` maps every drop reason to its count."""

    received_frames: int = 0
    forwarded_frames: int = 0
    merged_frames: int = 0
    to_host_frames: int = 0
    held_frames: int = 0
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
    """One worker. `heartbeat_age_s` is None where its state segment cannot be read.

    `flow_rules`: what the daemon put into NICs for ports with `steer`: `ens4 239.1.2.1:6000 → queue 2`.
    `evicted_flows`: flows without a route that made room for newer ones in `discovered`.
    """

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
    flow_rules: tuple[str, ...] = ()
    evicted_flows: int = 0


class PortRecord(_Record):
    """One port: how it works and every counter of `struct fp_port_counters`. Slots are per ring.

    `sync` is how its rings and the kernel meet: "calls" (system calls) or "busy_poll" (the calls poll the queues,
    `busy_poll_us` as the kernel has it) or "kloop" (a loop in the kernel syncs them).
    `state` is "up", "no_link", "down", "gone" or "reopening", since `since_ns` (CLOCK_REALTIME). The worker
    opens a lost port again by itself: `outages` and `reopened` count, `open_error` says why the last try
    failed. `swaps_with` names the ports of its worker that take its frames without a copy;
    they share the `hold_buffers` for frames that wait for their turn, which take `hold_bytes` of memory.
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
    sync: str = "calls"
    busy_poll_us: int = 0
    state: str = "up"
    since_ns: int = 0
    outages: int = 0
    reopened: int = 0
    unconfirmed_frames: int = 0
    open_error: str | None = None
    swaps_with: tuple[str, ...] = ()
    hold_buffers: int = 0
    hold_bytes: int = 0
    received_frames: int
    received_bytes: int
    forwarded_frames: int
    merged_frames: int
    to_host_frames: int
    held_frames: int = 0
    dropped_frames: dict[str, int]
    missed_frames: int
    passed_to_host_frames: int = 0
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
    """What a route matched since its worker started. `to` is where its frames go: ports, or "drop".

    `rtp` and `pacing` are None where the configuration does not ask for them, or the worker has no table with them.
    """

    name: str
    to: str = ""
    frames: int
    bytes: int
    rtp: Observed | None = None
    pacing: PacingCounters | None = None


class ProtectedRecord(_Record):
    """What became of the two paths of a protected flow (ST 2022-7): `struct fp_merge_counters`, its paths `a` and `b`.

    The extremes of the differential are None before the first frame that both paths brought. `silent_paths` are those
    of "A" and "B" that brought nothing for two seconds or more; `since_ns` is when the flow was first protected
    (CLOCK_MONOTONIC, as all times of media).
    """

    name: str
    worker: str
    silent_paths: tuple[str, ...] = ()
    since_ns: int = 0
    a: MergePathCounters
    b: MergePathCounters
    lost_frames: int
    filled_frames: int
    stray_frames: int
    restarts: int
    ssrc_changes: int
    silences: int
    skipped_frames: int
    held_frames: int
    most_held_frames: int
    differential_frames: int
    differential_sum_ns: int
    differential_min_ns: int | None
    differential_max_ns: int | None
    leads_a: tuple[int, ...]
    leads_b: tuple[int, ...]


class DiscoveredRecord(_Record):
    """A flow that no route takes: what its headers say, and `struct fp_discovered`. None: no such tag, no RTP."""

    worker: str
    port: str
    vlan: int | None
    inner_vlan: int | None
    source: str
    udp_source: int
    destination: str
    udp_port: int
    dscp: int
    payload_type: int | None
    ssrc: int
    frames: int
    bytes: int
    rtp_frames: int
    first_ns: int
    last_ns: int


class Observation(_Record):
    """One look at every worker of a runtime directory. `problems` are sentences for the operator."""

    workers: tuple[WorkerRecord, ...] = ()
    ports: tuple[PortRecord, ...] = ()
    routes: tuple[RouteRecord, ...] = ()
    protected: tuple[ProtectedRecord, ...] = ()
    discovered: tuple[DiscoveredRecord, ...] = ()
    problems: tuple[str, ...] = ()
