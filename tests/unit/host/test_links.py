# SPDX-License-Identifier: Apache-2.0
"""Links as the kernel's tables show them."""

import socket

import pytest

from appliance.host.links import find_vlan, is_carrying, parse_ipv6_links, parse_vlans, read_indices

VLANS = """\
VLAN Dev name    | VLAN ID
Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD
ens4.100       | 100  | ens4
media          | 200  | ens4.100
ens5.100       | 100  | ens5
"""
IPV6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000505400fffe000001 02 40 20 80     ens4
fe80000000000000505400fffe000002 03 40 20 c0     ens5
fe80000000000000505400fffe000003 04 40 20 88     ens6
20010db8000000000000000000000001 05 40 00 80     ens7
"""


@pytest.mark.parametrize(
    ("interface", "tags", "wanted"),
    [
        ("ens4", (), "ens4"),
        ("ens4", (100,), "ens4.100"),
        ("ens4", (100, 200), "media"),
        ("ens4", (200,), None),
        ("ens5", (100, 200), None),
    ],
)
def test_the_interface_of_a_tag(interface: str, tags: tuple[int, ...], wanted: str | None) -> None:
    assert find_vlan(parse_vlans(VLANS), interface, tags) == wanted


def test_link_local_addresses_that_may_be_used() -> None:
    """Not of another scope, not tentative (0x40), not a duplicate (0x08)."""
    assert parse_ipv6_links(IPV6) == {"ens4"}


def test_this_machine() -> None:
    assert read_indices()["lo"] == socket.if_nametoindex("lo")
    assert is_carrying("lo")
    assert not is_carrying("nope0")
