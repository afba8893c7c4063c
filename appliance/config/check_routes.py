# SPDX-License-Identifier: Apache-2.0
"""What a single field of a route cannot say: fields that contradict each other, rewrites the match does not allow.

Whatever the fast path would refuse (native/src/route_check.c) is refused here, with a way out.
"""

from collections.abc import Iterator, Sequence

from appliance.config.entries import PortNames
from appliance.config.fields import render_network
from appliance.config.messages import render_unknown_name
from appliance.config.schema import Config, DeviceKind, DeviceShape, Match, Output, Route
from appliance.config.yaml_source import Location, Problem


def check_routes(config: Config, names: PortNames) -> Iterator[Problem]:
    """Problems of every route."""
    used = {port.default for port in config.ports if isinstance(port.default, str)}
    for index, route in enumerate(config.routes):
        here: Location = ("routes", index)
        yield from _check_fate(route, here)
        if route.protect is not None:
            continue  # check_media
        if route.match is not None:
            yield from check_match(route.match, names, (*here, "match"))
        elif route.name not in used:
            yield Problem(here, f"no match, and no port has `default: {route.name}`; give it a `match:`")
        ingress = route.match.port or () if route.match is not None else ()
        if route.match is not None and not ingress:
            yield from _check_every_port(names, route, route.match, (*here, "match"))
        if route.to_host:
            yield from _check_host(names, route, ingress, here)
        yield from check_outputs(names, route.outputs or (), route.match, ingress, (*here, "outputs"))


def _check_fate(route: Route, here: Location) -> Iterator[Problem]:
    given = [
        word
        for word, is_given in (("outputs", route.outputs), ("drop", route.drop), ("to_host", route.to_host))
        if is_given
    ]
    if not given:
        yield Problem(
            here, "says not what becomes of its frames; give `outputs:`, `drop: true` or `to_host: true`"
        )
    for word in given[1:]:
        yield Problem((*here, word), f"given beside `{given[0]}`; keep one of the two")


def check_match(match: Match, names: PortNames, here: Location) -> Iterator[Problem]:
    """Problems of a match by itself."""
    if not match.model_fields_set - {"priority"}:
        yield Problem(here, "matches every untagged frame of every port; name at least one field")
    yield from _check_match_ports(match, names, here)
    if match.inner_vlan is not None:
        if match.vlan is None:
            yield Problem((*here, "inner_vlan"), "needs the outer tag; add `vlan:`")
        elif match.vlan == "untagged" and match.inner_vlan != "untagged":
            yield Problem((*here, "inner_vlan"), "untagged frames have no inner tag; remove it")
    if match.group is not None and match.destination is not None:
        yield Problem((*here, "destination"), "given beside `group`; keep one of the two")
    if match.to is not None and match.source is not None and match.to.version != match.source.version:
        yield Problem(
            (*here, "source"),
            f"{render_network(match.source)} is IPv{match.source.version}, the destination "
            f"{render_network(match.to)} IPv{match.to.version}; no frame has both, use one family",
        )
    if match.payload_type == "not_rtp" and match.ssrc is not None:
        yield Problem(
            (*here, "ssrc"), "frames that are not RTP have none; remove it, or `payload_type: not_rtp`"
        )


def _check_match_ports(match: Match, names: PortNames, here: Location) -> Iterator[Problem]:
    ports = match.port or []
    for position, name in enumerate(ports):
        where = (*here, "port", position) if len(ports) > 1 else (*here, "port")
        if name in ports[:position]:
            yield Problem(where, f"{name} is given twice; once is enough")
        elif name not in names.ports:
            yield Problem(where, render_unknown_name("port", name, list(names.ports)))
        elif ports[0] in names.ports and names.differ(name, ports[0]):
            yield Problem(
                where,
                f"{name} belongs to worker {names.workers[name]}, {ports[0]} to worker "
                f"{names.workers[ports[0]]}; write a route for each worker",
            )


def _check_every_port(names: PortNames, route: Route, match: Match, here: Location) -> Iterator[Problem]:
    worker = names.worker_of(route)
    if worker is None and not route.outputs:
        yield Problem(here, "missing port; there are several workers, name ports of one of them")
    elif worker is not None and route.outputs and not names.ingress_of(route, worker, match):
        yield Problem(
            here, f"every port of worker {worker} is an output, none is left to receive; name `port:`"
        )


def _check_host(names: PortNames, route: Route, ingress: Sequence[str], here: Location) -> Iterator[Problem]:
    where = (*here, "to_host")
    worker = names.worker_of(route)
    users = [port.name for port in names.config.ports if port.default == route.name]
    anywhere = route.match if not ingress else None
    if anywhere is not None and worker is not None and not names.ingress_of(route, worker, anywhere):
        yield Problem(where, f"worker {worker} has no port of host rings; add one like netmap:ens4^")
    for name in dict.fromkeys([*ingress, *users]):
        port = names.ports.get(name)
        if port is None:
            continue
        if port.device.shape is DeviceShape.HOST:
            yield Problem(where, f"frames of {name} ({port.device}) come from the host; send them to a port")
        elif port.device.kind is not DeviceKind.NETMAP or port.device.interface is None:
            yield Problem(
                where,
                f"{name} ({port.device}) has no host rings; only netmap ports of an interface have them, "
                "route its frames to such a port by `outputs:`",
            )
        elif names.host_of(name) is None:
            yield Problem(
                where,
                f"no port is the host's side of {name} ({port.device}); add one with "
                f"`device: netmap:{port.device.interface}^` to worker {names.workers[name]}",
            )


def check_outputs(
    names: PortNames, outputs: Sequence[Output], match: Match | None, ingress: Sequence[str], here: Location
) -> Iterator[Problem]:
    """Problems of the outputs of frames that `match` lets in (None: every frame) at the ports `ingress`."""
    seen: set[str] = set()
    for position, output in enumerate(outputs):
        where = (*here, position)
        name = output.port
        if name in seen:
            yield Problem(where, f"{name} is given twice; every output gets one copy")
        elif name in ingress:
            yield Problem(
                where, f"{name} is where the frames arrive; sending them back makes a loop, remove it"
            )
        else:
            yield from check_port(names, name, ingress, outputs[0].port, where)
        seen.add(name)
        yield from check_rewrite(output, match, where)


def check_port(
    names: PortNames, name: str, ingress: Sequence[str], first: str, where: Location
) -> Iterator[Problem]:
    """An output is a port, and of the worker of its ingress, else of the first output."""
    if name not in names.ports:
        yield Problem(where, render_unknown_name("port", name, list(names.ports)))
        return
    other = ingress[0] if ingress else first
    if other in names.ports and names.differ(name, other):
        beside = f"frames arrive at {other} of worker {names.workers[other]}"
        yield Problem(
            where,
            f"{name} belongs to worker {names.workers[name]}, "
            f"{beside if ingress else f'{other} to worker {names.workers[other]}'}; "
            "put both ports into one worker",
        )


def check_rewrite(output: Output, match: Match | None, here: Location) -> Iterator[Problem]:
    """What an output wants to write into frames that the match does not promise to be fit for it."""
    yield from _check_vlan(output, match, here)
    yield from _check_addresses(output, match, here)
    yield from _check_mac(output, match, here)
    if match is not None and match.payload_type == "not_rtp":
        for field in ("payload_type", "ssrc"):
            if getattr(output, field) is not None:
                yield Problem((*here, field), "the match takes frames that are not RTP only; remove it")


def _check_vlan(output: Output, match: Match | None, here: Location) -> Iterator[Problem]:
    change = output.vlan
    outer = match.tags[0] if match is not None else "any"
    if change is None or change.push is not None or isinstance(outer, int):
        return
    seen = "untagged frames" if outer == "untagged" else "frames with and without a tag"
    instead = "" if change.pop else f", or use `{{push: {change.set}}}`"
    yield Problem(
        (*here, "vlan"), f"{change}: the match takes {seen}; name one VLAN in `match.vlan`{instead}"
    )


def _check_addresses(output: Output, match: Match | None, here: Location) -> Iterator[Problem]:
    if output.group is not None and output.destination is not None:
        yield Problem((*here, "destination"), "given beside `group`; keep one of the two")
    known = None if match is None else match.to if match.to is not None else match.source
    for field in ("group", "destination", "source"):
        address = getattr(output, field)
        if address is None:
            continue
        if known is None:
            yield Problem(
                (*here, field),
                f"{address}: the match does not say that frames are IPv{address.version}; "
                "give it a `group:`, `destination:` or `source:`",
            )
        elif known.version != address.version:
            yield Problem(
                (*here, field),
                f"{address} is IPv{address.version}, the match takes IPv{known.version} "
                f"({render_network(known)}); use an IPv{known.version} address",
            )


def _check_mac(output: Output, match: Match | None, here: Location) -> Iterator[Problem]:
    if output.destination is not None and output.destination_mac is None:
        yield Problem(
            (*here, "destination"),
            f"{output.destination} does not say which MAC address; add `destination_mac:` with that of the "
            "receiver or of the next router, or `destination_mac: keep`",
        )
    if output.destination_mac != "from-group" or output.group is not None:
        return
    group = match.group if match is not None else None
    if output.destination is not None:
        yield Problem(
            (*here, "destination_mac"), f"from-group: {output.destination} is no group; give a MAC address"
        )
    elif group is None:
        yield Problem(
            (*here, "destination_mac"), "from-group: there is no group; give one here or in the match"
        )
    elif group.num_addresses > 1:
        yield Problem(
            (*here, "destination_mac"),
            f"from-group: {group} holds many groups with a MAC address each; leave it out to keep theirs",
        )
