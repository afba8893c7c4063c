# SPDX-License-Identifier: Apache-2.0
"""VLAN interfaces of this network namespace: which interface sends with which tag."""

from collections.abc import Mapping
from pathlib import Path

# Made by the kernel module 8021q, net/8021q/vlanproc.c; of the namespace of the reader.
_VLAN_CONFIG = Path("/proc/net/vlan/config")


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
