# SPDX-License-Identifier: Apache-2.0
"""Interfaces of this network namespace by name: index, whether they carry frames, their VLANs and IPv6 addresses.

By system calls that need no netlink socket, because a worker asks once a second.
"""

import fcntl
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

# Made by the kernel module 8021q, net/8021q/vlanproc.c; /proc/net is that of the reader's namespace.
_VLAN_CONFIG = Path("/proc/net/vlan/config")
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")

# <linux/sockios.h>, <linux/if.h>: struct ifreq has the name, then a union whose first member is the flags.
_SIOCGIFFLAGS = 0x8913
_IFREQ = "16sH22x"
_IFF_UP_AND_RUNNING = 0x1 | 0x40

# <linux/if_addr.h>: an address that must not be used (yet).
_UNUSABLE = 0x08 | 0x40  # IFA_F_DADFAILED, IFA_F_TENTATIVE
_SCOPE_LINK = 0x20  # IPV6_ADDR_LINKLOCAL, net/ipv6.h


def read_indices() -> dict[str, int]:
    """Interface → index."""
    return {name: index for index, name in socket.if_nameindex()}


def is_carrying(interface: str) -> bool:
    """Whether an interface is up and has a link. False where there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_IFREQ, interface.encode(), 0))
        except OSError:
            return False
    flags = int(struct.unpack(_IFREQ, answer)[1])
    return flags & _IFF_UP_AND_RUNNING == _IFF_UP_AND_RUNNING


def read_ipv6_links() -> frozenset[str]:
    """Interfaces with a link-local IPv6 address that may be used."""
    try:
        return parse_ipv6_links(_IPV6_ADDRESSES.read_text())
    except OSError:
        return frozenset()


def parse_ipv6_links(text: str) -> frozenset[str]:
    """Lines `fe80…(32 digits) 02 40 20 80 ens4`: address, index, prefix length, scope, flags, all hexadecimal."""
    rows = [line.split() for line in text.splitlines()]
    return frozenset(
        row[5]
        for row in rows
        if len(row) == 6 and int(row[3], 16) == _SCOPE_LINK and not int(row[4], 16) & _UNUSABLE
    )


def read_vlans() -> dict[tuple[str, int], str]:
    """(Parent interface, VLAN id) → VLAN interface; empty where the kernel has none."""
    try:
        return parse_vlans(_VLAN_CONFIG.read_text())
    except OSError:
        return {}


def parse_vlans(text: str) -> dict[tuple[str, int], str]:
    """Lines `ens4.100       | 100  | ens4` below two lines of heading; of two with one id the first counts."""
    found: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 3 and parts[1].isdecimal():
            found.setdefault((parts[2], int(parts[1])), parts[0])
    return found


def find_vlan(vlans: Mapping[tuple[str, int], str], interface: str, tags: tuple[int, ...]) -> str | None:
    """The interface that puts `tags` (outermost first) on what it sends through `interface`; None: none does."""
    found: str | None = interface
    for tag in tags:
        found = vlans.get((found, tag)) if found is not None else None
    return found
