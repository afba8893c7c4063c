# SPDX-License-Identifier: Apache-2.0
"""Frames scapy makes, and their class; pairs of ports through the true loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.lldp import LLDPDU, LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID, LLDPDUTimeToLive
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Reply
from scapy.layers.dns import DNS
from scapy.layers.igmp import IGMP_MQ, IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLQuery,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.rtp import RTP
from scapy.packet import Packet, Raw

from appliance.fastpath import DropReason, NativeError, parse_frame, read_host_class

from .rig import Rig

MAC = "02:00:5e:10:00:01"
OWN = bytes.fromhex(MAC.replace(":", ""))
PEER = "02:00:5e:10:00:02"
HOP = IPv6ExtHdrHopByHop(options=[RouterAlert()])
IP4, IP6 = IP(src="10.77.0.1", dst="10.77.0.2"), IPv6(src="fe80::1", dst="fe80::2")

UNTAGGED: dict[str, tuple[Packet, str | None]] = {
    "arp request": (Ether(dst="ff:ff:ff:ff:ff:ff", src=PEER) / ARP(pdst="10.77.0.2"), "arp"),
    "arp reply": (Ether(dst=MAC, src=PEER) / ARP(op=2), "arp"),
    "neighbour solicitation": (Ether(dst="33:33:ff:00:00:02") / IP6 / ICMPv6ND_NS(tgt="fe80::2"), "nd"),
    "neighbour advertisement": (Ether(dst=MAC) / IP6 / ICMPv6ND_NA(tgt="fe80::2"), "nd"),
    "router advertisement": (Ether(dst="33:33:00:00:00:01") / IP6 / ICMPv6ND_RA(), "nd"),
    "igmpv2 query": (
        Ether(dst="01:00:5e:00:00:01") / IP(dst="224.0.0.1", options=[IPOption_Router_Alert()]) / IGMP_MQ(),
        "igmp",
    ),
    "igmpv3 report": (
        Ether(dst="01:00:5e:00:00:16")
        / IP(dst="224.0.0.22", options=[IPOption_Router_Alert()])
        / IGMPv3_MR(records=[IGMPv3_MR_Group(maddr="239.1.2.1")]),
        "igmp",
    ),
    "mld query": (Ether(dst="33:33:00:00:00:01") / IPv6(dst="ff02::1", nh=0) / HOP / ICMPv6MLQuery(), "mld"),
    "mldv2 report": (
        Ether(dst="33:33:00:00:00:16") / IPv6(dst="ff02::16", nh=0) / HOP / ICMPv6MLReport2(),
        "mld",
    ),
    "ptp event": (
        Ether(dst="01:00:5e:00:01:81") / IP(dst="224.0.1.129") / UDP(sport=319, dport=319) / Raw(bytes(44)),
        "ptp",
    ),
    "ptp general over ipv6": (
        Ether(dst="33:33:00:00:01:81") / IPv6(dst="ff0e::181") / UDP(sport=320, dport=320) / Raw(bytes(64)),
        "ptp",
    ),
    "ptp over ethernet": (Ether(dst="01:1b:19:00:00:00", type=0x88F7) / Raw(bytes(44)), "ptp"),
    "lldp": (
        Ether(dst="01:80:c2:00:00:0e")
        / LLDPDU()
        / LLDPDUChassisID(subtype=4, id=OWN)
        / LLDPDUPortID(subtype=5, id=b"red")
        / LLDPDUTimeToLive(ttl=120)
        / LLDPDUEndOfLLDPDU(),
        "lldp",
    ),
    "ssh": (Ether(dst=MAC) / IP4 / TCP(dport=22, flags="S"), "unicast"),
    "ssh over ipv6": (Ether(dst=MAC) / IP6 / TCP(dport=22, flags="S"), "unicast"),
    "ping": (Ether(dst=MAC) / IP4 / ICMP(), "unicast"),
    "ping over ipv6": (Ether(dst=MAC) / IP6 / ICMPv6EchoRequest(), "unicast"),
    "dns reply": (Ether(dst=MAC) / IP4 / UDP(sport=53, dport=40000) / DNS(), "unicast"),
    "dhcp offer": (
        Ether(dst="ff:ff:ff:ff:ff:ff")
        / IP(dst="255.255.255.255")
        / UDP(sport=67, dport=68)
        / BOOTP(op=2)
        / DHCP(options=[("message-type", "offer"), "end"]),
        "unicast",
    ),
    "dhcpv6 reply": (Ether(dst=MAC) / IP6 / UDP(sport=547, dport=546) / DHCP6_Reply(), "unicast"),
    "fragment": (Ether(dst=MAC) / IP(dst="10.77.0.2", proto=17, frag=185) / Raw(bytes(600)), "unicast"),
    "ssh of somebody else": (Ether(dst=PEER) / IP4 / TCP(dport=22), None),
    "media": (
        Ether(dst="01:00:5e:01:02:01") / IP(dst="239.1.2.1") / UDP(sport=10000, dport=20000) / RTP(),
        None,
    ),
    "unicast media": (Ether(dst=MAC) / IP4 / UDP(sport=10000, dport=20000) / RTP(), None),
}


def tag(packet: Packet, tags: int) -> bytes:
    """The frame with 0, 1 or 2 tags; the inner one is 802.1Q."""
    ethernet, payload = packet.copy(), packet.payload.copy()
    ethertype = int.from_bytes(bytes(packet)[12:14], "big")
    ethernet.remove_payload()
    if tags:
        payload = Dot1Q(vlan=100, prio=7, type=ethertype) / payload
        ethernet.type = 0x8100
    if tags == 2:
        payload = Dot1AD(vlan=200, type=0x8100) / payload
        ethernet.type = 0x88A8
    return bytes(ethernet / payload)


@pytest.mark.parametrize("tags", [0, 1, 2])
@pytest.mark.parametrize("name", UNTAGGED)
def test_frames_of_scapy_have_their_class(name: str, tags: int) -> None:
    packet, wanted = UNTAGGED[name]
    assert read_host_class(tag(packet, tags), OWN) == wanted


@pytest.mark.parametrize("name", UNTAGGED)
def test_a_cut_frame_has_its_class_or_none(name: str) -> None:
    packet, wanted = UNTAGGED[name]
    frame = tag(packet, 1)
    for length in range(len(frame)):
        assert read_host_class(frame[:length], OWN) in (wanted, None, "unicast"), length


@given(st.binary(max_size=200), st.binary(min_size=6, max_size=6))
def test_any_bytes_have_a_class_or_none(frame: bytes, mac: bytes) -> None:
    seen = read_host_class(frame, mac)
    addressed = frame[:6] in (mac, b"\xff" * 6)
    assert seen is None or len(frame) >= 14
    assert seen != "unicast" or addressed


@given(
    st.integers(1024, 65535),
    st.integers(1024, 65535),
    st.sampled_from(["02:00:5e:10:00:01", "ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:01"]),
    st.integers(0, 1400),
)
def test_media_is_never_the_hosts(source: int, port: int, mac: str, size: int) -> None:
    """Whatever a UDP route can match on user ports stays in the fast path."""
    frame = bytes(Ether(dst=mac) / IP4 / UDP(sport=source, dport=port) / Raw(bytes(size)))
    assert not isinstance(parse_frame(frame), DropReason)
    assert read_host_class(frame, OWN) is None


def test_an_address_has_six_octets() -> None:
    with pytest.raises(NativeError, match="MAC address of 5 octets"):
        read_host_class(bytes(60), OWN[:5])


@pytest.fixture
def rig(tmpfs: Path) -> Iterator[Rig]:
    with Rig(tmpfs / "host", [0, 0], 64, [2048]) as opened:
        yield opened


def test_a_pair_of_ports_carries_the_hosts_frames(rig: Rig) -> None:
    nic, host = rig.ports
    rig.worker.pair_host(0, 1, ["arp", "ptp"], OWN)
    frames = [tag(packet, 0) for packet, _ in UNTAGGED.values()]
    wanted = [tag(packet, 0) for packet, name in UNTAGGED.values() if name in ("arp", "ptp")]
    for frame in frames:
        nic.inject(frame)
    rig.worker.turn()
    assert host.collect_all() == wanted
    for frame in frames:
        host.inject(frame)
    rig.worker.turn()
    assert nic.collect_all() == frames
    counters = rig.state.read_port(0)
    assert counters.to_host_frames == len(wanted)
    assert sum(counters.dropped_frames.values()) == len(frames) - len(wanted)
    assert rig.state.read_port(1).forwarded_frames == len(frames)


def test_a_port_has_one_host(rig: Rig) -> None:
    rig.worker.pair_host(0, 1, ["arp"], OWN)
    with pytest.raises(NativeError, match="host port 0 of port 1"):
        rig.worker.pair_host(1, 0, ["arp"], OWN)
