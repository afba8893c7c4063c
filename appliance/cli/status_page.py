# SPDX-License-Identifier: Apache-2.0
"""The status document as a page of 80 columns: first whether all is well, then what is not, then numbers.

Pure: documents in, blocks out.
"""

from collections import Counter
from collections.abc import Iterator

from appliance.cli.console import Block, Grid, Line, Tone
from appliance.cli.status_media import build_media
from appliance.daemon.api import StatusDocument
from appliance.telemetry import PortRecord, RouteRecord, WorkerRecord

# More do not fit on a screen.
MOST_ROUTES = 20

_ADAPTERS = {"xdp_zerocopy": "zero-copy", "xdp_copy": "copy", "xdp_generic": "generic"}


def build_page(
    document: StatusDocument, before: StatusDocument | None = None, elapsed_s: float = 0.0
) -> list[Block]:
    """The page. With an earlier document, rates over `elapsed_s` take the place of totals that matter less."""
    return [
        *_build_verdict(document),
        Line(""),
        *_build_workers(document),
        *_build_ports(document, before, elapsed_s),
        *_build_drops(document),
        *build_media(document),
        *_build_routes(document, before, elapsed_s),
    ]


def _build_verdict(document: StatusDocument) -> Iterator[Block]:
    generation = document.generation
    active = "no configuration is active"
    if generation.active is not None:
        active = f"generation {generation.active} of {generation.configured}"
    who = f"daemon {document.daemon.pid}" if document.daemon.running else "no daemon"
    if not document.problems:
        yield Line(f"ALL WELL  {active}, {who}", Tone.GOOD)
        return
    count = len(document.problems)
    yield Line(f"{count} PROBLEM{'' if count == 1 else 'S'}  {active}, {who}", Tone.BAD)
    for problem in document.problems:
        first, *rest = problem.split("\n")
        yield Line(f"- {first}")
        yield from (Line(f"  {line}") for line in rest)


def _build_workers(document: StatusDocument) -> Iterator[Block]:
    if not document.workers:
        yield Line("no worker")
        return
    header = ("Worker", "Process", "Generation", "Restarts", "Received", "Forwarded", "Dropped")
    yield Grid(header, [_build_worker(worker) for worker in document.workers])
    if any(not worker.balanced for worker in document.workers):
        yield Line("THE ACCOUNT DOES NOT BALANCE", Tone.BAD)
    yield from (_build_memberships(worker) for worker in document.workers if worker.memberships)
    for worker in document.workers:
        if worker.flow_rules:
            yield Line(f"{worker.name}: {_group(len(worker.flow_rules))} flow rules in NICs")
    yield from _build_held(document)
    yield Line("")


def _build_worker(worker: WorkerRecord) -> list[str]:
    account = worker.account
    pid = str(worker.pid) if worker.alive else "dead"
    dropped = sum(account.dropped_frames.values())
    numbers = (account.received_frames, account.forwarded_frames, dropped)
    return [worker.name, pid, str(worker.generation), str(worker.restarts), *map(_group, numbers)]


def _build_held(document: StatusDocument) -> Iterator[Line]:
    """Of each memory region with buffers for frames that wait: ports share them."""
    regions = {(port.worker, port.region): port for port in document.ports if port.hold_buffers}
    for (worker, region), first in regions.items():
        held = sum(
            port.held_frames for port in document.ports if (port.worker, port.region) == (worker, region)
        )
        memory = f"{_group(first.hold_buffers)} buffers, {_group(first.hold_bytes)} bytes"
        yield Line(f"{worker}: {_group(held)} frames held now, in {memory}")


def _build_memberships(worker: WorkerRecord) -> Line:
    counts = Counter(record.state for record in worker.memberships)
    states = ", ".join(f"{_group(count)} {state}" for state, count in sorted(counts.items()))
    return Line(f"{worker.name}: multicast memberships {states}")


def _build_ports(
    document: StatusDocument, before: StatusDocument | None, elapsed_s: float
) -> Iterator[Block]:
    if not document.ports:
        return
    if before is None or elapsed_s <= 0:
        header: tuple[str, ...] = ("Port", "Device", "Received", "Forwarded", "Dropped", "Sent")
        rows = [
            [
                port.name,
                _render_device(port),
                _group(port.received_frames),
                _group(port.forwarded_frames),
                _group(sum(port.dropped_frames.values())),
                _group(port.transmitted_frames),
            ]
            for port in document.ports
        ]
    else:
        header = ("Port", "Device", "In/s", "In Mb/s", "Dropped/s", "Out/s", "Out Mb/s")
        earlier = {(port.worker, port.name): port for port in before.ports}
        rows = [
            _build_rates(port, earlier.get((port.worker, port.name)), elapsed_s) for port in document.ports
        ]
    yield Grid(header, rows, text_columns=2)
    yield Line("")


def _build_rates(port: PortRecord, before: PortRecord | None, elapsed_s: float) -> list[str]:
    def rate(field: str, scale: float = 1.0) -> str:
        rise = getattr(port, field) - (getattr(before, field) if before is not None else 0)
        return f"{max(0, rise) * scale / elapsed_s:,.0f}"

    dropped = sum(port.dropped_frames.values())
    dropped_before = sum(before.dropped_frames.values()) if before is not None else 0
    return [
        port.name,
        _render_device(port),
        rate("received_frames"),
        rate("received_bytes", 8e-6),
        f"{max(0, dropped - dropped_before) / elapsed_s:,.0f}",
        rate("transmitted_frames"),
        rate("transmitted_bytes", 8e-6),
    ]


def _render_device(port: PortRecord) -> str:
    state = "" if port.state == "up" else f" {port.state.upper().replace('_', ' ')}"
    sync = "" if port.sync == "calls" else f" {port.sync.replace('_', ' ')}"
    return f"{port.device} {_ADAPTERS.get(port.adapter, port.adapter)}{sync}{state}"


def _build_drops(document: StatusDocument) -> Iterator[Block]:
    for port in document.ports:
        reasons = [
            f"dropped {reason} {_group(frames)}" for reason, frames in port.dropped_frames.items() if frames
        ]
        if to_host := port.to_host_frames + port.passed_to_host_frames:
            reasons.append(f"to the host {_group(to_host)}")
        if port.missed_frames:
            reasons.append(f"missed before the RX ring {_group(port.missed_frames)}")
        if port.tx_full_frames:
            reasons.append(f"TX ring full for {_group(port.tx_full_frames)} copies")
        if port.tx_too_long_frames:
            reasons.append(f"too long {_group(port.tx_too_long_frames)} copies")
        if port.sync_errors:
            reasons.append(f"sync errors {_group(port.sync_errors)}")
        if port.outages:
            reasons.append(f"outages {_group(port.outages)}, opened again {_group(port.reopened)} times")
        if port.unconfirmed_frames:
            reasons.append(f"unconfirmed {_group(port.unconfirmed_frames)} copies in rings given up")
        if reasons:
            yield Line(f"{port.name}: {', '.join(reasons)}")


def _build_routes(
    document: StatusDocument, before: StatusDocument | None, elapsed_s: float
) -> Iterator[Block]:
    if not document.routes:
        return
    yield Line("")
    if before is None or elapsed_s <= 0:
        rows = [
            [route.name, route.to, _group(route.frames), _group(route.bytes)]
            for route in _list_routes(document)
        ]
        yield Grid(("Route", "To", "Frames", "Bytes"), rows, text_columns=2)
        yield from _build_rest(document)
        return
    earlier = {route.name: route for route in before.routes}
    rows = []
    for route in _list_routes(document):
        last = earlier.get(route.name)
        frames = route.frames - (last.frames if last is not None else 0)
        octets = route.bytes - (last.bytes if last is not None else 0)
        megabits = f"{max(0, octets) * 8e-6 / elapsed_s:,.1f}"
        rate = f"{max(0, frames) / elapsed_s:,.0f}"
        rows.append([route.name, route.to, _group(route.frames), rate, megabits])
    yield Grid(("Route", "To", "Frames", "Frames/s", "Mb/s"), rows, text_columns=2)
    yield from _build_rest(document)


def _list_routes(document: StatusDocument) -> list[RouteRecord]:
    """The routes to show: all, or those that matched most."""
    if len(document.routes) <= MOST_ROUTES:
        return list(document.routes)
    return sorted(document.routes, key=lambda route: route.frames, reverse=True)[:MOST_ROUTES]


def _build_rest(document: StatusDocument) -> Iterator[Block]:
    rest = len(document.routes) - MOST_ROUTES
    if rest > 0:
        yield Line(f"and {rest:,} routes with fewer frames; `appliance status --json` lists them", Tone.FAINT)


def _group(number: int) -> str:
    return f"{number:,}"
