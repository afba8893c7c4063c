# SPDX-License-Identifier: Apache-2.0
"""Why a group was not joined, as the operator reads it: what was seen, what to do."""

import errno
import socket
from pathlib import Path

from appliance.config.memberships import Membership
from appliance.worker.membership_plan import Seat

_IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")
_LIMITS = "raise net.ipv4.igmp_max_memberships, net.ipv4.igmp_max_msf or net.core.optmem_max (`sysctl -w`)"
_ADVICE = {
    errno.ENOBUFS: f"the kernel has no room for it; {_LIMITS}",
    errno.ENOMEM: f"the kernel has no memory for it; {_LIMITS}",
    errno.EMFILE: f"{{sockets}} sockets are open, more are not allowed; {_LIMITS}, so that each holds more",
    errno.ENODEV: "the interface takes no IP; give it an MTU of at least 1280 bytes and look at `ip addr`",
    errno.EAFNOSUPPORT: "this kernel has no IPv6; boot it without ipv6.disable=1",
    errno.EPERM: "not permitted; run the worker as root",
}


def explain_absent(member: Membership) -> str:
    """No interface to join through."""
    if not member.vlans:
        return f"the interface {member.interface} does not exist; it is joined when it comes"
    tag, parent = member.vlans[-1], ".".join([member.interface, *map(str, member.vlans[:-1])])
    return (
        f"no interface sends with vlan {'.'.join(map(str, member.vlans))} through {member.interface}; "
        f"`ip link add link {parent} name {parent}.{tag} type vlan id {tag}` and set it up, "
        "or write `membership: off` where the network sends the group anyway"
    )


def explain_ipv6_off(seat: Seat) -> str | None:
    """The kernel takes the membership there, and then sends no report."""
    name = find_name(seat.ifindex)
    try:
        is_off = (_IPV6_SETTINGS / name / "disable_ipv6").read_text().strip() != "0"
    except OSError:
        return None  # joining will tell
    return f"IPv6 is off at {name}; `sysctl -w net.ipv6.conf.{name}.disable_ipv6=0`" if is_off else None


def explain_refusal(seat: Seat, error: OSError, socket_count: int) -> str:
    """The kernel refused."""
    known = _ADVICE.get(error.errno or 0)
    if known is None:
        return f"{error.strerror} at {find_name(seat.ifindex)}; look at `ip maddr` and the kernel log"
    return known.format(sockets=socket_count)


def find_name(ifindex: int) -> str:
    """The interface's name, or its number where it is gone."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return f"interface {ifindex}"
