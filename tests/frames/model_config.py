# SPDX-License-Identifier: Apache-2.0
"""What a configuration means, slow and obvious: from its plain mappings and a frame to outputs, without a table.

Written from the configuration page (docs/operations/routes.md), not from appliance.config.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from appliance.fastpath import Match, Output, Rewrite, Route, names

from .model import ModelWorker, Understood, count_bits, fits, level_of

Mapped = Mapping[str, Any]


def read_tag(seen: object) -> int | None:
    return {"untagged": names.NO_VLAN, "any": None}[seen] if isinstance(seen, str) else seen  # type: ignore[return-value]


def read_match(match: Mapped) -> Match:
    """All but the port."""
    outer = match.get("vlan", "untagged")
    inner = match.get("inner_vlan", "any" if outer == "any" else "untagged")
    to, source, ssrc = match.get("group", match.get("destination")), match.get("source"), match.get("ssrc")
    payload_type = match.get("payload_type")
    return Match(
        vlan=read_tag(outer),
        inner_vlan=read_tag(inner),
        destination=None if to is None else ip_network(to),
        source=None if source is None else ip_network(source),
        udp_port=match.get("udp_port"),
        udp_source=match.get("udp_source"),
        dscp=match.get("dscp"),
        payload_type=names.NOT_RTP if payload_type == "not_rtp" else payload_type,
        ssrc=int(ssrc, 16) if isinstance(ssrc, str) else ssrc,
        priority=match.get("priority", 0),
    )


def read_mac(output: Mapped, match: Mapped | None) -> bytes | None:
    """The destination MAC address: RFC 1112, 6.4; RFC 2464, 7."""
    given, group = output.get("destination_mac"), output.get("group")
    if given == "keep" or (given is None and group is None):
        return None
    if given not in (None, "from-group"):
        return bytes.fromhex(re.sub("[:-]", "", given))
    address = ip_address(group if group is not None else (match or {})["group"])
    octets = address.packed
    if isinstance(address, IPv4Address):
        return bytes((0x01, 0x00, 0x5E, octets[1] % 128, octets[2], octets[3]))
    return b"\x33\x33" + octets[12:]


def read_rewrite(output: Mapped, match: Mapped | None) -> Rewrite:
    vlan = output.get("vlan", {})
    vlan = {"pop": True} if vlan == "pop" else vlan
    to, source, ssrc = (
        output.get("group", output.get("destination")),
        output.get("source"),
        output.get("ssrc"),
    )
    source_mac = output.get("source_mac")
    return Rewrite(
        destination_mac=read_mac(output, match),
        source_mac=None if source_mac is None else bytes.fromhex(source_mac.replace(":", "")),
        set_vlan=vlan.get("set"),
        push_vlan=vlan.get("push"),
        pop_vlan=vlan.get("pop", False),
        source=None if source is None else ip_address(source),
        destination=None if to is None else ip_address(to),
        udp_source=output.get("udp_source"),
        udp_port=output.get("udp_port"),
        dscp=output.get("dscp"),
        decrement_ttl=output.get("ttl") == "decrement",
        payload_type=output.get("payload_type"),
        ssrc=int(ssrc, 16) if isinstance(ssrc, str) else ssrc,
    )


@dataclass
class ConfiguredWorker(ModelWorker):
    """Decides by the configuration itself. `counters`: name in status → index of the counter."""

    config: Mapped = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    seen: dict[tuple[str, bytes, bytes], int] = field(default_factory=dict)
    """(Cross-connect, VLAN, MAC address) → the port it was last seen at. Too few frames to forget one."""
    ingress: int = 0

    def send(self, route: Route, frame: bytes) -> str | None:
        names_of = {index: name for name, index in self.counters.items()}
        for pair in self.config.get("cross_connects", []):
            if pair.get("learn") and names_of[route.counter].startswith(f"{pair['name']} "):
                return super().send(self.narrow(pair["name"], route, frame), frame)
        return super().send(route, frame)

    def narrow(self, group: str, route: Route, frame: bytes) -> Route:
        """The route with the one output its destination is behind, where that is known; learns its source."""
        tagged = frame[12:14] in (b"\x81\x00", b"\x88\xa8") and len(frame) >= 16
        vlan = bytes((frame[14] & 0x0F, frame[15])) if tagged else b"\0\0"
        if not frame[6] & 1:
            self.seen[group, vlan, frame[6:12]] = self.ingress
        port = None if frame[0] & 1 else self.seen.get((group, vlan, frame[:6]))
        if port is None:
            return route
        return replace(route, outputs=tuple(output for output in route.outputs if output.port == port))

    def choose(self, index: int, understood: Understood) -> Route | None:
        self.ingress = index
        if understood.refusal == "short":
            return None
        port = self.config["ports"][index]["name"]
        # Where two compare the same, one gives way on this port altogether: also for frames that the other, which
        # rewrites UDP, cannot take.
        candidates: dict[Match, tuple[tuple[Any, ...], Route]] = {}
        for rank, route in self.list_candidates(port):
            same = replace(route.match, priority=0)
            candidates[same] = max(candidates.get(same, (rank, route)), (rank, route), key=lambda one: one[0])
        fitting = [
            (rank, route)
            for rank, route in candidates.values()
            if fits(route.match, understood)
            and all(level_of(output.rewrite or Rewrite()) <= understood.level for output in route.outputs)
        ]
        return max(fitting, key=lambda candidate: candidate[0], default=(None, None))[1]

    def list_candidates(self, port: str) -> Iterator[tuple[tuple[Any, ...], Route]]:
        """Everything that could take frames of this port, and how it ranks: what no route takes comes last."""
        for route in self.config.get("routes", []):
            match = route.get("match")
            if match is None:
                continue
            named = match.get("port")
            ports = named if isinstance(named, list) else [named]
            own = [read_name(output) for output in route.get("outputs", [])]
            if port in ports or (named is None and port not in own and self.can_take(route, port)):
                built = read_match(match)
                yield (
                    (built.priority, count_bits(built), named is not None),
                    self.build(route, port, match, built),
                )
        last = (-1, (0, ()), False)
        for pair in self.config.get("cross_connects", []):
            if port in pair["ports"]:
                others = [name for name in pair["ports"] if name != port]
                name = f"{pair['name']} {port} to {others[0] if len(others) == 1 else 'others'}"
                yield last, self.build({"name": name, "outputs": others}, port, None, Match())
        default = next(entry for entry in self.config["ports"] if entry["name"] == port).get(
            "default", "drop"
        )
        if isinstance(default, list):
            yield last, self.build({"name": f"{port} default", "outputs": default}, port, None, Match())
        elif default != "drop":
            named_route = next(route for route in self.config["routes"] if route["name"] == default)
            yield last, self.build(named_route, port, None, Match())

    def can_take(self, route: Mapped, port: str) -> bool:
        return not route.get("to_host") or self.find_host(port) is not None

    def find_host(self, port: str) -> str | None:
        """The port of the host's side of this port's interface."""
        devices = {entry["name"]: entry["device"] for entry in self.config["ports"]}
        return next((name for name, device in devices.items() if device == f"{devices[port]}^"), None)

    def build(self, route: Mapped, port: str, match: Mapped | None, built: Match) -> Route:
        outputs = [self.find_host(port)] if route.get("to_host") else route.get("outputs", [])
        indices = {entry["name"]: index for index, entry in enumerate(self.config["ports"])}
        devices = {entry["name"]: entry["device"] for entry in self.config["ports"]}
        sent = [output if isinstance(output, dict) else {"port": output} for output in outputs]
        return Route(
            built,
            tuple(Output(indices[output["port"]], read_rewrite(output, match)) for output in sent),
            self.counters[route["name"]],
            bool(sent) and all(devices[output["port"]].endswith("^") for output in sent),
        )


def read_name(output: object) -> object:
    return output["port"] if isinstance(output, dict) else output
