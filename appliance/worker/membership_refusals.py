# SPDX-License-Identifier: Apache-2.0
"""Why a group was not joined, as the operator reads it: what was seen, what to do."""

import errno
from pathlib import Path

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


def explain_absent(interface: str, vlans: tuple[int, ...]) -> str:
    """No interface to join through."""
    if not vlans:
        return f"the interface {interface} does not exist; it is joined when it comes"
    tag, parent = vlans[-1], ".".join([interface, *map(str, vlans[:-1])])
    return (
        f"no interface sends with vlan {'.'.join(map(str, vlans))} through {interface}; "
        f"`ip link add link {parent} name {parent}.{tag} type vlan id {tag}` and set it up, "
        'or write `membership: "off"` where the network sends the group anyway'
    )


def explain_no_link(name: str) -> str:
    """Reports would not leave."""
    return f"{name} is down or has no link; it is joined when it has"


def explain_no_ipv6(name: str) -> str:
    """MLD reports come from a link-local address, RFC 3810, 5.2.13."""
    try:
        is_off = (_IPV6_SETTINGS / name / "disable_ipv6").read_text().strip() != "0"
    except OSError:
        return f"{name} has no IPv6; look at `ip -6 addr` and the MTU, 1280 bytes at least"
    if is_off:
        return f"IPv6 is off at {name}; `sysctl -w net.ipv6.conf.{name}.disable_ipv6=0`"
    return f"{name} has no link-local IPv6 address yet; `ip -6 addr show dev {name}` tells why, where it stays so"


def explain_refusal(name: str, error: OSError, socket_count: int) -> str:
    """The kernel refused."""
    known = _ADVICE.get(error.errno or 0)
    if known is None:
        return f"{error.strerror} at {name}; look at `ip maddr` and the kernel log"
    return known.format(sockets=socket_count)
