# SPDX-License-Identifier: Apache-2.0
"""Rules by which a NIC sends the frames of routes to the queue of the port that has them (`steer: ntuple`).

Workers of one interface have a queue each; receive-side scaling would spread flows over them by a hash, whatever the
routes say. The rules are derived from the routes that name such a port. They compare what NICs can compare, so that
a rule may be coarser than its route (SSRC, payload type, no tag): two rules of one interface that could take the same
frame must name the same queue. Pure; `appliance.host.flow_rules` carries them out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from pathlib import Path

from pydantic import TypeAdapter

from appliance.config.device import DeviceShape
from appliance.config.entries import Entry, Tables
from appliance.config.schema import Config, Port
from appliance.config.yaml_source import Location, Problem

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class FlowRule:
    """Frames of UDP over `destination`'s IP version that are equal in all that is given go to `queue`."""

    interface: str
    queue: int
    destination: Address
    destination_bits: int
    source: Address | None = None
    source_bits: int = 0
    udp_port: int | None = None
    udp_source: int | None = None
    dscp: int | None = None
    vlan: int | None = None
    """Outer VLAN id; None: tagged or not."""

    def __str__(self) -> str:
        """`ens4 239.1.2.1:6000 from 192.0.2.1 vlan 100 → queue 2`."""
        to = _render_end(self.destination, self.destination_bits, self.udp_port)
        words = [self.interface, to]
        if self.source is not None or self.udp_source is not None:
            words += ["from", _render_end(self.source, self.source_bits, self.udp_source)]
        words += [
            f"{name} {value}"
            for name, value in (("dscp", self.dscp), ("vlan", self.vlan))
            if value is not None
        ]
        return " ".join([*words, "→ queue", str(self.queue)])

    def overlaps(self, other: "FlowRule") -> bool:
        """Whether a frame could fit both."""
        return (
            self.interface == other.interface
            and _share(self.destination, self.destination_bits, other.destination, other.destination_bits)
            and _share(self.source, self.source_bits, other.source, other.source_bits)
            and all(
                None in (mine, theirs) or mine == theirs
                for mine, theirs in (
                    (self.udp_port, other.udp_port),
                    (self.udp_source, other.udp_source),
                    (self.dscp, other.dscp),
                    (self.vlan, other.vlan),
                )
            )
        )


_RULES = TypeAdapter(tuple[FlowRule, ...])


def _render_end(address: Address | None, bits: int, port: int | None) -> str:
    text = "*" if address is None else str(address)
    if address is not None and bits < address.max_prefixlen:
        text = f"{text}/{bits}"
    if port is None:
        return text
    return f"[{text}]:{port}" if isinstance(address, IPv6Address) else f"{text}:{port}"


def _share(one: Address | None, one_bits: int, other: Address | None, other_bits: int) -> bool:
    if one is None or other is None:
        return True
    behind = one.max_prefixlen - min(one_bits, other_bits)
    return one.version == other.version and int(one) >> behind == int(other) >> behind


def list_flow_rules(config: Config, entries: Iterable[Entry]) -> tuple[FlowRule, ...]:
    """What the entries of a worker's table need of its NICs, each once, in the order of the routes.

    Only at ports the match names: one for every port does not say at which queue its frames shall arrive.
    """
    rules = (build_rule(port, entry) for port, entry in _list_steered(config, entries))
    return tuple(dict.fromkeys(rule for rule in rules if rule is not None))


def _list_steered(config: Config, entries: Iterable[Entry]) -> Iterator[tuple[Port, Entry]]:
    """The entries whose match names a steered port, with it."""
    steered = {port.name: port for port in config.ports if port.steer is not None}
    for entry in entries:
        if entry.port in steered and entry.match is not None and entry.match.port is not None:
            yield steered[entry.port], entry


def build_rule(port: Port, entry: Entry) -> FlowRule | None:
    """The rule of an entry at a steered port; None where it names no destination, which `check` refuses."""
    match, device = entry.match, port.device
    if match is None or match.to is None or device.interface is None or device.queue is None:
        return None
    outer = match.tags[0]
    source = match.source
    return FlowRule(
        interface=device.interface,
        queue=device.queue,
        destination=match.to.network_address,
        destination_bits=match.to.prefixlen,
        source=None if source is None else source.network_address,
        source_bits=0 if source is None else source.prefixlen,
        udp_port=match.udp_port,
        udp_source=match.udp_source,
        dscp=match.dscp,
        vlan=outer if isinstance(outer, int) else None,
    )


def find_steering_port_problems(config: Config) -> Iterator[Problem]:
    """Ports whose `steer` says nothing."""
    for index, port in enumerate(config.ports):
        if port.steer is not None and port.device.shape is not DeviceShape.QUEUE:
            interface = port.device.interface or "ens4"
            yield Problem(
                ("ports", index, "steer"),
                f"{port.device} is no single queue; name one, as in netmap:{interface}-0, or remove it",
            )


def find_steering_problems(config: Config, tables: Tables) -> Iterator[Problem]:
    """Routes no rule can be made of, and rules that would send one frame to two queues."""
    made: dict[object, list[tuple[FlowRule, Entry]]] = {}
    for port, entry in _list_steered(config, chain.from_iterable(tables.entries.values())):
        rule = build_rule(port, entry)
        if rule is None or (entry.match is not None and isinstance(entry.match.tags[1], int)):
            yield Problem(_locate(entry), _render_unfit(entry))
            continue
        for other, owner in _list_candidates(made, rule):
            if other.queue != rule.queue and other.overlaps(rule):
                yield Problem(
                    _locate(entry),
                    f"the NIC could send one frame to {owner.port} by {owner.name} and to {entry.port}; "
                    "steer both to one queue, or tell them apart by group, source, UDP port or VLAN",
                )
                break
        made.setdefault(_bucket(rule), []).append((rule, entry))


def _render_unfit(entry: Entry) -> str:
    if entry.match is not None and entry.match.to is None:
        return f"{entry.port} is steered by the NIC, which needs an address; give `group` or `destination`"
    return f"{entry.port} is steered by the NIC, which compares one VLAN tag; leave inner_vlan out"


def _locate(entry: Entry) -> Location:
    return (*entry.location, "match") if len(entry.location) == 2 else entry.location


def _bucket(rule: FlowRule) -> object:
    """Exact destinations meet their own kind only, so that thousands of them are quick to compare."""
    exact = rule.destination_bits == rule.destination.max_prefixlen
    return (rule.interface, rule.destination) if exact else rule.interface


def _list_candidates(
    made: dict[object, list[tuple[FlowRule, Entry]]], rule: FlowRule
) -> Iterator[tuple[FlowRule, Entry]]:
    yield from made.get(rule.interface, ())
    if _bucket(rule) == rule.interface:
        yield from (pair for key, pairs in made.items() if key != rule.interface for pair in pairs)
    else:
        yield from made.get(_bucket(rule), ())


def render_rules(rules: Iterable[FlowRule]) -> str:
    """The text of `steering.json`."""
    return _RULES.dump_json(tuple(rules), indent=1).decode() + "\n"


def load_rules(path: Path) -> tuple[FlowRule, ...]:
    """Read `steering.json`; none where there is no such file. Raises OSError, ValueError."""
    try:
        return _RULES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()
