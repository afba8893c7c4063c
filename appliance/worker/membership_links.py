# SPDX-License-Identifier: Apache-2.0
"""What memberships are joined through: an interface that can send the reports now, or the reason why there is none.

The kernel announces a membership some times after a change (RFC 3376, 8.1), then only when asked; after a lost
carrier it announces nothing. So nothing is joined before reports can leave, and all is joined anew when they can
again: a switch at the other end of a new link knows nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from appliance.config.memberships import Membership
from appliance.host.links import find_vlan, is_carrying, read_indices, read_ipv6_links, read_vlans
from appliance.worker.membership_refusals import explain_absent, explain_no_ipv6, explain_no_link


@dataclass(frozen=True, slots=True)
class Link:
    """Interface, tags and family of memberships."""

    interface: str
    vlans: tuple[int, ...]
    version: int

    @classmethod
    def of(cls, member: Membership) -> Self:
        return cls(member.interface, member.vlans, member.group.version)


@dataclass(frozen=True, slots=True)
class LinkState:
    """`ifindex` where groups can be joined, else `reason`."""

    name: str
    ifindex: int | None
    reason: str | None = None


def read_links(links: Collection[Link]) -> dict[Link, LinkState]:
    """Each link as it is now."""
    indices = read_indices()
    vlans = read_vlans() if any(link.vlans for link in links) else {}
    with_ipv6 = read_ipv6_links() if any(link.version == 6 for link in links) else frozenset()
    found = {}
    for link in links:
        name = find_vlan(vlans, link.interface, link.vlans)
        if name is None or name not in indices:
            found[link] = LinkState(name or link.interface, None, explain_absent(link.interface, link.vlans))
        elif not is_carrying(name):
            found[link] = LinkState(name, None, explain_no_link(name))
        elif link.version == 6 and name not in with_ipv6:
            found[link] = LinkState(name, None, explain_no_ipv6(name))
        else:
            found[link] = LinkState(name, indices[name])
    return found
