# SPDX-License-Identifier: Apache-2.0
"""What a single field of `protect:` and `observe:` cannot say: paths that do not make one flow, rates that are missing.

Pure, like `check_routes`.
"""

from collections.abc import Iterator, Sequence

from appliance.config.check_pacing import check_pacing
from appliance.config.check_routes import check_match, check_outputs, check_rewrite
from appliance.config.entries import PortNames, Tables
from appliance.config.fields import render_network
from appliance.config.media import Protect
from appliance.config.merges import (
    MAX_MERGE_SLOTS,
    MAX_MERGES_PER_WORKER,
    MERGE_ARENA_BYTES,
    NS_PER_S,
    find_rates,
    plan_merge,
)
from appliance.config.schema import Config, Match, Output, Route
from appliance.config.yaml_source import Location, Problem

# FP_MAX_PACING of native/include/fastpath.h; tests/contract/test_media_contract.py compares it.
MAX_PACING_PER_WORKER = 64

_BYTES_PER_MB = 1_000_000


def check_media(config: Config, names: PortNames) -> Iterator[Problem]:
    """Problems of what routes ask of RTP."""
    for index, route in enumerate(config.routes):
        here: Location = ("routes", index)
        if route.observe is not None and route.observe.pacing is not None:
            yield from check_pacing(route.observe.pacing, (*here, "observe", "pacing"))
        if route.observe is not None and route.protect is None:
            yield from _check_observed(route, here)
        if route.protect is not None:
            # Both paths have the same outputs: what is wrong for both is said once.
            yield from dict.fromkeys(_check_protected(route, route.protect, names, here))


def _check_observed(route: Route, here: Location) -> Iterator[Problem]:
    """Sequence numbers of many flows, taken for those of one, say nothing."""
    if route.match is None:
        text = "frames that are left over are of many flows, their numbers say nothing; give it a match, or remove it"
        yield Problem((*here, "observe"), text)
    elif route.match.ssrc is None and (route.match.to is None or route.match.to.num_addresses > 1):
        seen = "any destination" if route.match.to is None else render_network(route.match.to)
        text = f"{seen} holds many flows, their numbers say nothing; name one group, destination or SSRC in the match"
        yield Problem((*here, "observe"), text)


def _check_protected(route: Route, protect: Protect, names: PortNames, here: Location) -> Iterator[Problem]:
    if route.match is not None:
        yield Problem(
            (*here, "match"), "given beside `protect`, whose paths are the match; keep one of the two"
        )
    if route.drop or route.to_host:
        word = "drop" if route.drop else "to_host"
        yield Problem((*here, word), "two paths are merged for outputs; give `outputs:` instead")
    yield from _check_window(route, protect, (*here, "protect"))
    unsound = False
    for path, match in route.matches:
        where: Location = (*here, "protect", path.lower())
        yield from check_match(match, names, where)
        for problem in _check_path(match, where):
            unsound = True
            yield problem
    yield from _check_pair(protect, names, (*here, "protect", "b"))
    if not unsound:  # else it would be said of each output again
        yield from _check_outputs(route, protect, names, (*here, "outputs"))


def _check_outputs(route: Route, protect: Protect, names: PortNames, here: Location) -> Iterator[Problem]:
    ingress = [*(protect.a.port or ()), *(protect.b.port or ())]
    outputs = route.outputs or ()
    yield from check_outputs(names, outputs, protect.a, ingress, here)
    for position, output in enumerate(outputs):
        yield from check_rewrite(output, protect.b, (*here, position))
        yield from _check_one_flow(protect, output, (*here, position))


def _check_window(route: Route, protect: Protect, here: Location) -> Iterator[Problem]:
    given = [name for name in ("window_class", "window_us") if getattr(protect, name) is not None]
    if len(given) > 1:
        yield Problem((*here, "window_us"), "given beside `class`; keep one of the two")
    if not given:
        yield Problem(
            here, "says not how far the paths may be apart; give `class: A`, B, C or D, or `window_us:`"
        )
    if protect.format is not None and protect.frames_per_s is not None:
        yield Problem((*here, "frames_per_s"), "given beside `format`, which says it; keep one of the two")
    if protect.bits_per_s is not None and (protect.window_class != "C" or protect.frames_per_s is None):
        yield Problem(
            (*here, "bits_per_s"),
            "counts with `frames_per_s` and class C only, whose window depends on it; remove it",
        )
    rates = find_rates(route)
    pacing = route.observe.pacing if route.observe is not None else None
    if rates is None and pacing is not None:
        return  # told there
    if rates is None:
        yield Problem(
            here,
            "says not how many frames come; give `format:` (as in 1080p50), `frames_per_s:`, or `observe.pacing`",
        )
    elif protect.window_class == "C" and not rates[1]:
        yield Problem(
            (*here, "class"),
            "the window of class C is 450 ms below 270 Mb/s and 150 ms from there on; add `bits_per_s:`",
        )
    elif len(given) == 1:
        yield from _check_slots(route, rates[0], here)


def _check_slots(route: Route, frames_per_s: int, here: Location) -> Iterator[Problem]:
    plan = plan_merge(route)
    if plan.slots > MAX_MERGE_SLOTS:
        yield Problem(
            here,
            f"a window of {plan.window_ns / 1e6:g} ms holds {plan.window_ns * frames_per_s // NS_PER_S:,} frames, at "
            "most about 838,000 are kept; take a smaller window",
        )


def _check_path(match: Match, here: Location) -> Iterator[Problem]:
    """A merge joins the copies of one RTP flow: two flows in it are two senders that take turns."""
    if match.port is None:
        yield Problem(here, "missing port; name the port this path arrives at")
    if match.to is None:
        yield Problem(here, "missing group; a path is one flow, name its `group:` or `destination:`")
    elif match.to.num_addresses > 1:
        field = "group" if match.group is not None else "destination"
        yield Problem((*here, field), f"{match.to} holds many flows; a path is one, name its address")
    if match.udp_port is None:
        yield Problem(here, "missing udp_port; a path is one flow, name its UDP port")
    if match.payload_type == "not_rtp":
        yield Problem((*here, "payload_type"), "paths are merged by their RTP numbers; remove it")


def _check_pair(protect: Protect, names: PortNames, here: Location) -> Iterator[Problem]:
    ports = [(match.port or [""])[0] for match in (protect.a, protect.b)]
    if all(port in names.ports for port in ports) and names.differ(*ports):
        yield Problem(
            (*here, "port"),
            f"{ports[1]} belongs to worker {names.workers[ports[1]]}, path A arrives at {ports[0]} of worker "
            f"{names.workers[ports[0]]}; put both ports into one worker",
        )
    # ST 2022-7:2019, 6: the copies carry the same RTP header.
    for field in ("payload_type", "ssrc"):
        values = [getattr(match, field) for match in (protect.a, protect.b)]
        if None not in values and values[0] != values[1]:
            yield Problem(
                (*here, field),
                f"{values[1]}, of path A {values[0]}: both copies carry the same RTP header; these are two flows",
            )
    if protect.a.tags[1] != protect.b.tags[1]:
        yield Problem(
            here,
            "path A and path B differ in the inner tag, which no output changes; have the network send them alike",
        )


def _check_one_flow(protect: Protect, output: Output, here: Location) -> Iterator[Problem]:
    """What tells flows apart is the same in the copies of both paths when they leave."""
    a, b = protect.a, protect.b
    if a.to != b.to and output.to is None and a.to is not None and b.to is not None:
        seen = f"{render_network(a.to)} and {render_network(b.to)}"
        yield _build_two_flows(here, f"to {seen}", "`group:`")
    if a.udp_port != b.udp_port and output.udp_port is None:
        yield _build_two_flows(here, f"to UDP ports {a.udp_port} and {b.udp_port}", "`udp_port:`")
    if a.source != b.source and output.source is None:
        seen = " and ".join("any" if end is None else render_network(end) for end in (a.source, b.source))
        yield _build_two_flows(here, f"from {seen}", "`source:`")
    tags = (a.tags[0], b.tags[0])
    if tags[0] != tags[1]:
        if not all(isinstance(tag, int) for tag in tags):
            words = [f"in VLAN {tag}" if isinstance(tag, int) else f"with tag `{tag}`" for tag in tags]
            text = f"path A comes {words[0]}, path B {words[1]}; have the network tag both or none"
            yield Problem(here, text)
        elif output.vlan is None or output.vlan.push is not None:
            yield _build_two_flows(
                here, f"in VLANs {tags[0]} and {tags[1]}", "`vlan: {set: ID}` or `vlan: pop`"
            )


def _build_two_flows(here: Location, seen: str, give: str) -> Problem:
    return Problem(
        here, f"the paths come {seen}, so two flows would leave here; give this output a new {give}"
    )


def check_media_capacity(tables: Tables, config: Config) -> Iterator[Problem]:
    """What a worker's table holds of merges and formats."""
    for index, worker in enumerate(config.workers):
        routes = {
            entry.route.name: entry.route for entry in tables.entries[worker.name] if entry.route is not None
        }
        yield from _check_merges(worker.name, list(routes.values()), ("workers", index))
        formats = {
            str(route.observe.pacing)
            for route in routes.values()
            if route.observe is not None and route.observe.pacing is not None
        }
        if len(formats) > MAX_PACING_PER_WORKER:
            yield Problem(
                ("workers", index),
                f"worker {worker.name} observes the pacing of {len(formats)} different formats, at most "
                f"{MAX_PACING_PER_WORKER}; add a worker",
            )


def _check_merges(worker: str, routes: Sequence[Route], here: Location) -> Iterator[Problem]:
    plans = [plan_merge(route) for route in routes if route.protect is not None]
    if len(plans) > MAX_MERGES_PER_WORKER:
        yield Problem(
            here,
            f"worker {worker} has {len(plans)} protected routes, at most {MAX_MERGES_PER_WORKER}; add a worker",
        )
    if (needed := sum(plan.bytes for plan in plans)) > MERGE_ARENA_BYTES:
        yield Problem(
            here,
            f"the windows of worker {worker}'s protected routes need {needed // _BYTES_PER_MB:,} MB, at most "
            f"{MERGE_ARENA_BYTES // _BYTES_PER_MB:,} MB; take smaller windows or add a worker",
        )
