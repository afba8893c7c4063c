# SPDX-License-Identifier: Apache-2.0
"""Destination MAC addresses of groups, by the standards' own arithmetic."""

from ipaddress import ip_address

import pytest

from appliance.config.match import Match
from appliance.config.outputs import Output, compute_group_mac


@pytest.mark.parametrize(
    ("group", "mac"),
    [
        # RFC 1112, 6.4: the low 23 bits, so 32 groups share each address.
        ("224.1.2.3", "01:00:5e:01:02:03"),
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("239.255.255.255", "01:00:5e:7f:ff:ff"),
        # RFC 2464, 7: the last four octets.
        ("ff02::1:ff00:1", "33:33:ff:00:00:01"),
        ("ff3e::8000:1", "33:33:80:00:00:01"),
    ],
)
def test_mac_address_of_a_group(group: str, mac: str) -> None:
    assert compute_group_mac(ip_address(group)).hex(":") == mac


@pytest.mark.parametrize(
    ("output", "mac"),
    [
        ({"port": "b"}, None),
        ({"port": "b", "group": "239.2.2.2"}, "01:00:5e:02:02:02"),
        ({"port": "b", "group": "239.2.2.2", "destination_mac": "keep"}, None),
        ({"port": "b", "group": "239.2.2.2", "destination_mac": "from-group"}, "01:00:5e:02:02:02"),
        ({"port": "b", "group": "239.2.2.2", "destination_mac": "02:00:00:00:00:01"}, "02:00:00:00:00:01"),
        ({"port": "b", "destination_mac": "from-group"}, "01:00:5e:01:01:01"),
        ({"port": "b", "destination": "192.0.2.1", "destination_mac": "keep"}, None),
    ],
)
def test_which_mac_address_is_written(output: dict[str, str], mac: str | None) -> None:
    match = Match.model_validate({"group": "239.1.1.1"})
    found = Output.model_validate(output).find_destination_mac(match)
    assert (None if found is None else found.hex(":")) == mac
