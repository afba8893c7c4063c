# SPDX-License-Identifier: Apache-2.0
"""Which multicast groups routes need from the network, and the file by which a worker learns of them.

The daemon lists them (`list_memberships`) and writes `memberships.json` (`render_memberships`); the worker reads it
(`load_memberships`) and holds them by sockets of its own, so that they outlive the daemon (law 1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from pydantic import TypeAdapter

from appliance.config.device import DeviceShape
from appliance.config.entries import Entry
from appliance.config.schema import Config, Match, Port

Address = IPv4Address | IPv6Address
_End = Address | IPv4Network | IPv6Network | None

# 802.1Q, 9.6: id 0 is no VLAN, only a priority.
_PRIORITY_TAG = 0
_UNTAGGED = (None, "untagged", "any", _PRIORITY_TAG)


@dataclass(frozen=True, slots=True)
class Membership:
    """A group wanted at an interface; with `source`, its frames of that source only (RFC 4607)."""

    interface: str
    vlans: tuple[int, ...]
    """Tags the frames carry, outermost first: the join has to carry them too. Empty: untagged."""
    group: Address
    source: Address | None

    def __str__(self) -> str:
        """`ens4 vlan 100 239.1.2.1 from 192.0.2.1`."""
        vlan = f" vlan {'.'.join(map(str, self.vlans))}" if self.vlans else ""
        source = f" from {self.source}" if self.source is not None else ""
        return f"{self.interface}{vlan} {self.group}{source}"


_MEMBERSHIPS = TypeAdapter(tuple[Membership, ...])


def list_memberships(config: Config, entries: Iterable[Entry]) -> tuple[Membership, ...]:
    """What the entries of a worker's table need, each once, in a fixed order.

    Only at ports the match names: one for every port does not say which network has the group. What is dropped is not
    asked for, and the host's own programs ask for what goes to the host.
    """
    ports = {port.name: port for port in config.ports}
    flows = [
        (entry.port, entry.match)
        for entry in entries
        if entry.match is not None and entry.match.port is not None and entry.outputs and not entry.to_host
    ]
    return build_memberships(ports, flows)


def build_memberships(
    ports: Mapping[str, Port], flows: Iterable[tuple[str, Match]]
) -> tuple[Membership, ...]:
    """The memberships of (ingress port, match) pairs.

    Only an exact group can be joined, and only from a network: not behind host rings, pipes, VALE or memory.
    A source that is a prefix is not exact: every source is joined then.
    """
    found = {
        Membership(interface, _list_vlans(match), group, _read_exact(match.source))
        for port, match in flows
        if (interface := _find_interface(ports[port])) is not None
        and (group := _read_exact(match.group)) is not None
    }
    return sort_memberships(found)


def sort_memberships(memberships: Iterable[Membership]) -> tuple[Membership, ...]:
    """Each once, by interface, tags, group and source."""

    def rank(member: Membership) -> tuple[object, ...]:
        source = b"" if member.source is None else member.source.packed
        return (member.interface, member.vlans, member.group.version, member.group.packed, source)

    return tuple(sorted(set(memberships), key=rank))


def _find_interface(port: Port) -> str | None:
    if port.membership == "off" or port.device.shape is DeviceShape.HOST:
        return None
    return port.device.interface


def _read_exact(end: _End) -> Address | None:
    if isinstance(end, IPv4Network | IPv6Network):
        return end.network_address if end.prefixlen == end.max_prefixlen else None
    return end


def _list_vlans(match: Match) -> tuple[int, ...]:
    return tuple(int(tag) for tag in (match.vlan, match.inner_vlan) if tag not in _UNTAGGED)


def render_memberships(memberships: Iterable[Membership]) -> str:
    """The text of `memberships.json`."""
    return _MEMBERSHIPS.dump_json(tuple(memberships), indent=1).decode() + "\n"


def load_memberships(path: Path) -> tuple[Membership, ...]:
    """Read `memberships.json`; none where there is no such file. Raises OSError, ValueError."""
    try:
        return _MEMBERSHIPS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()
