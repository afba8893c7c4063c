# SPDX-License-Identifier: Apache-2.0
"""The guest's own network stack over a media NIC: ARP, ping and the banner of its ssh server, spoken on the cable."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from lab.errors import LabError
from lab.guest import Guest
from lab.report import Report
from lab.ssh import read_interfaces
from lab.wire import Wire

# What the lab's ports leave to the host: all classes, in the order of the fast path.
CLASSES = ("arp", "nd", "igmp", "mld", "ptp", "lldp", "unicast")
OURS, GUEST = "10.77.0.1", "10.77.0.2"
OUR_MAC = "02:00:00:4c:41:99"
PINGS = 20
SSH_PORT = 22
_PATIENCE_S = 10.0
_ports = itertools.count(40000)


def check_host_stack(guest: Guest, macs: dict[str, str], report: Report) -> None:
    """On every cable: give the guest's NIC an address, ask for it, ping it, and read what sshd says there."""
    interfaces = read_interfaces(guest.access)
    for name, path in guest.cables:
        interface = interfaces[macs[name]]
        guest.access.read(f"ip addr add {GUEST}/24 dev {interface}")
        try:
            with Wire(path) as wire:
                report.check(f"host stack on {name}", *_speak(wire, macs[name]))
        finally:
            guest.access.read(f"ip addr del {GUEST}/24 dev {interface}")


def _speak(wire: Wire, mac: str) -> tuple[bool, str]:
    arp = Ether(dst="ff:ff:ff:ff:ff:ff", src=OUR_MAC) / ARP(hwsrc=OUR_MAC, psrc=OURS, pdst=GUEST)
    answer = _ask(wire, arp, lambda seen: ARP in seen and seen[ARP].op == 2 and seen[ARP].psrc == GUEST)
    if answer is None or answer[ARP].hwsrc != mac:
        return False, f"no ARP answer of {mac}"
    answered = sum(_ping(wire, mac, number) for number in range(PINGS))
    if answered != PINGS:
        return False, f"{answered} of {PINGS} pings were answered"
    banner = _read_banner(wire, mac)
    return banner.startswith("SSH-2.0-"), f"ARP, {PINGS} pings, and over TCP: {banner}"


def _ping(wire: Wire, mac: str, number: int) -> bool:
    echo = ICMP(id=7, seq=number) / Raw(bytes(1400))
    request = Ether(dst=mac, src=OUR_MAC) / IP(src=OURS, dst=GUEST) / echo
    return (
        _ask(wire, request, lambda seen: ICMP in seen and (seen[ICMP].type, seen[ICMP].seq) == (0, number))
        is not None
    )


def _read_banner(wire: Wire, mac: str) -> str:
    """RFC 9293, 3.5: three segments of a handshake; then RFC 4253, 4.2: the server's first line."""
    port = next(_ports)
    here = Ether(dst=mac, src=OUR_MAC) / IP(src=OURS, dst=GUEST)

    def is_mine(seen: Packet) -> bool:
        return TCP in seen and seen[TCP].dport == port

    opened = _ask(wire, here / TCP(sport=port, dport=SSH_PORT, flags="S", seq=1000), is_mine)
    if opened is None or opened[TCP].flags != "SA":
        return "no handshake"
    after = opened[TCP].seq + 1
    acknowledge = here / TCP(sport=port, dport=SSH_PORT, flags="A", seq=1001, ack=after)
    said = _ask(wire, acknowledge, lambda seen: is_mine(seen) and Raw in seen)
    wire.send(bytes(here / TCP(sport=port, dport=SSH_PORT, flags="R", seq=1001, ack=after)))
    return "nothing" if said is None else said[Raw].load.decode(errors="replace").strip()


def _ask(wire: Wire, request: Packet, is_answer: Callable[[Packet], bool]) -> Packet | None:
    """Send `request` and wait for an answer; None where there is none."""
    wire.take()
    wire.send(bytes(request))
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        for frame in wire.take():
            seen = Ether(frame)
            if is_answer(seen):
                return seen
        if wire.problem:
            raise LabError(f"cable: {wire.problem}")
        time.sleep(0.005)
    return None
