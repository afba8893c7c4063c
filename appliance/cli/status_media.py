# SPDX-License-Identifier: Apache-2.0
"""Media on the status page: the paths of protected flows, what RTP lost, flows without a route. Pure."""

from collections.abc import Iterator

from appliance.cli.console import Block, Grid, Line, Tone
from appliance.daemon.api import StatusDocument
from appliance.fastpath import MergePathCounters
from appliance.telemetry import DiscoveredRecord, ProtectedRecord, RouteRecord

# More do not fit on a screen.
MOST_PROTECTED = 10
MOST_DISCOVERED = 5
_NS_PER_MS = 1e6


def build_media(document: StatusDocument) -> Iterator[Block]:
    """What there is of media; nothing where nothing was asked for."""
    yield from _build_protected(document)
    yield from _build_rtp(document)
    yield from _build_discovered(document)


def _build_protected(document: StatusDocument) -> Iterator[Block]:
    if not document.protected:
        return
    # Those in trouble first, else as they came.
    flows = sorted(document.protected, key=lambda flow: (not flow.silent_paths, not flow.lost_frames))
    shown = flows[:MOST_PROTECTED]
    yield Line("")
    rows = [_build_path(flow, name, path) for flow in shown for name, path in (("A", flow.a), ("B", flow.b))]
    header = ("Protected", "Path", "Received", "First", "Lost", "Late", "State")
    yield Grid(header, rows, text_columns=2)
    yield from (_build_sum(flow) for flow in shown)
    if (rest := len(flows) - len(shown)) > 0:
        yield Line(f"and {rest:,} protected flows more; `appliance status --json` lists them", Tone.FAINT)


def _build_path(flow: ProtectedRecord, name: str, path: MergePathCounters) -> list[str]:
    numbers = (path.received_frames, path.forwarded_frames, path.lost_frames, path.late_frames)
    state = "SILENT" if name in flow.silent_paths else "ok"
    return [flow.name if name == "A" else "", name, *(f"{number:,}" for number in numbers), state]


def _build_sum(flow: ProtectedRecord) -> Line:
    """What the receiver misses, and how far the paths are apart."""
    text = f"{flow.name}: lost on both paths {flow.lost_frames:,}"
    least_ns, most_ns = flow.differential_min_ns, flow.differential_max_ns
    if least_ns is not None and most_ns is not None:
        mean_ns = flow.differential_sum_ns / flow.differential_frames
        path, other, sign = ("B", "A", 1) if mean_ns >= 0 else ("A", "B", -1)
        low, high = sorted((sign * least_ns, sign * most_ns))
        text += f"; {path} behind {other} {_render_ms(sign * mean_ns)} ms ({_render_ms(low)} to {_render_ms(high)})"
    if flow.most_held_frames:
        text += (
            f"; held {flow.held_frames:,} (most {flow.most_held_frames:,}, skipped {flow.skipped_frames:,})"
        )
    return Line(text, Tone.BAD if flow.lost_frames or flow.silent_paths else Tone.PLAIN)


def _render_ms(duration_ns: float) -> str:
    return f"{duration_ns / _NS_PER_MS:.3f}"


def _build_rtp(document: StatusDocument) -> Iterator[Line]:
    """Of observed routes what is not as it should be."""
    for route in document.routes:
        if troubles := list(_list_troubles(route)):
            yield Line(f"{route.name}: {', '.join(troubles)}")


def _list_troubles(route: RouteRecord) -> Iterator[str]:
    if (rtp := route.rtp) is not None:
        for name in ("lost", "reordered", "duplicated"):
            if count := getattr(rtp, f"{name}_frames"):
                yield f"RTP {name} {count:,}"
        if changes := rtp.restarts + rtp.ssrc_changes:
            yield f"sender began anew {changes:,} times"
    if (pacing := route.pacing) is not None:
        if pacing.cinst_over_frames:
            yield f"Cinst too high at {pacing.cinst_over_frames:,} frames (up to {pacing.cinst_max_frames:,})"
        if pacing.vrx_over_frames:
            yield f"VRX too high at {pacing.vrx_over_frames:,} frames (up to {pacing.vrx_max_frames:,})"


def _build_discovered(document: StatusDocument) -> Iterator[Block]:
    if not document.discovered:
        return
    flows = sorted(document.discovered, key=lambda flow: flow.frames, reverse=True)
    yield Line("")
    rows = [[flow.port, _render_flow(flow), f"{flow.frames:,}"] for flow in flows[:MOST_DISCOVERED]]
    yield Grid(("Port", "Without a route", "Frames"), rows, text_columns=2)
    if (rest := len(flows) - MOST_DISCOVERED) > 0:
        yield Line(f"and {rest:,} flows with fewer frames; `appliance status --json` lists them", Tone.FAINT)
    if evicted := sum(worker.evicted_flows for worker in document.workers):
        yield Line(f"{evicted:,} times an older flow made room for a newer one", Tone.FAINT)


def _render_flow(flow: DiscoveredRecord) -> str:
    tags = [str(tag) for tag in (flow.vlan, flow.inner_vlan) if tag is not None]
    vlan = f" vlan {'.'.join(tags)}" if tags else ""
    kind = "not RTP" if flow.payload_type is None else f"type {flow.payload_type}"
    return f"{flow.source} to {flow.destination}:{flow.udp_port}{vlan}, {kind}"
