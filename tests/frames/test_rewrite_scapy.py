# SPDX-License-Identifier: Apache-2.0
"""Rewrites through the true loop against scapy, which builds the wanted frame anew with every checksum computed."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from appliance.fastpath import FrameKey, Match, Output, Rewrite, Route

from .rig import Rig

RTP = bytes.fromhex("80e0000100000002cafe0001") + bytes(range(200))
RTP_RENEWED = bytes.fromhex("80f000010000000200000007") + bytes(range(200))
V4 = FrameKey(0, IPv4Address("239.1.2.1"), 6000)
V6 = FrameKey(0, IPv6Address("ff3e::1"), 6000)
MACS = {"dst": "01:00:5e:01:02:03", "src": "02:00:00:00:00:07"}


def build(
    family: str, tag: int | None, changed: dict[str, Any], payload: bytes, checksum: int | None
) -> bytes:
    """A frame; `changed` are the fields that differ from what a sender wrote."""
    ether = Ether(dst=changed.get("dst", "01:00:5e:01:02:01"), src=changed.get("src", "02:00:00:00:00:01"))
    if tag is not None:
        ether = ether / Dot1Q(vlan=tag, prio=3)
    if family == "v4":
        dscp, ttl = changed.get("dscp", 0), changed.get("ttl", 64)
        packet: Any = IP(
            src=changed.get("ip_src", "192.0.2.1"),
            dst=changed.get("ip_dst", "239.1.2.1"),
            tos=dscp << 2 | 1,
            ttl=ttl,
        )
    else:
        dscp, ttl = changed.get("dscp", 0), changed.get("ttl", 64)
        packet = IPv6(
            src=changed.get("ip_src", "2001:db8::1"),
            dst=changed.get("ip_dst", "ff3e::1"),
            tc=dscp << 2 | 1,
            hlim=ttl,
        )
    udp = UDP(sport=changed.get("sport", 5000), dport=changed.get("dport", 6000))
    if checksum is not None:
        udp.chksum = checksum
    return bytes(ether / packet / udp / payload)


@pytest.mark.parametrize("checksum", [None, 0], ids=["checksum", "zero checksum"])
@pytest.mark.parametrize("full", [False, True], ids=["renamed", "everything"])
@pytest.mark.parametrize("vlan", [None, 100, "pop", "push", "set"])
@pytest.mark.parametrize("family", ["v4", "v6"])
def test_rewrites_are_what_scapy_builds(
    tmpfs: Path, family: str, vlan: int | str | None, full: bool, checksum: int | None
) -> None:
    tag = None if vlan in (None, "push") else 100
    source, group = ("198.51.100.9", "239.9.9.9") if family == "v4" else ("2001:db8::9", "ff3e::9:9")
    changed: dict[str, Any] = {**MACS, "ip_src": source, "ip_dst": group, "sport": 7001, "dport": 7000}
    rewrite = Rewrite(
        destination_mac=bytes.fromhex(MACS["dst"].replace(":", "")),
        source_mac=bytes.fromhex(MACS["src"].replace(":", "")),
        source=IPv4Address(source) if family == "v4" else IPv6Address(source),
        destination=IPv4Address(group) if family == "v4" else IPv6Address(group),
        udp_source=7001,
        udp_port=7000,
    )
    if full:
        rewrite = replace(rewrite, dscp=46, decrement_ttl=True, payload_type=112, ssrc=7)
        changed |= {"dscp": 46, "ttl": 63}
    wanted = build(family, tag, changed, RTP_RENEWED if full else RTP, checksum)
    if vlan == "pop":
        rewrite, wanted = replace(rewrite, pop_vlan=True), wanted[:12] + wanted[16:]
    elif vlan == "push":
        rewrite, wanted = replace(rewrite, push_vlan=7), wanted[:12] + bytes.fromhex("81000007") + wanted[12:]
    elif vlan == "set":
        rewrite, wanted = replace(rewrite, set_vlan=4094), wanted[:14] + bytes.fromhex("6ffe") + wanted[16:]
    match = Match.exact(replace(V4 if family == "v4" else V6, vlan=tag))
    with Rig(tmpfs / "state", [0, 0, 1], 16, [2048, 2048]) as rig:  # port 1 swaps, port 2 copies
        rig.publish([Route(match, (Output(1, rewrite), Output(2, rewrite)), 0)])
        assert rig.inject(0, build(family, tag, {}, RTP, checksum))
        rig.turn()
        rig.check_account()
        assert rig.collect()[1:] == [[wanted], [wanted]]
