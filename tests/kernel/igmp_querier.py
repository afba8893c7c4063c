# SPDX-License-Identifier: Apache-2.0
"""Ask who listens to a group (IGMPv2 general query) on an interface, until a report about it comes back.

usage: igmp_querier.py INTERFACE GROUP SECONDS; exit 0 and the reporter's address, 1 where nobody answers.
"""

import socket
import sys
import time

from scapy.layers.igmp import IGMP_MQ, IGMPv2_MR, IGMPv3_MR
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.l2 import Ether

QUERY_EVERY_S = 0.5


def build_query(mac: bytes) -> bytes:
    """RFC 2236, 2: to all systems, answers within 0.1 s."""
    source = ":".join(f"{octet:02x}" for octet in mac)
    ip = IP(src="10.77.0.1", dst="224.0.0.1", ttl=1, options=[IPOption_Router_Alert()])
    return bytes(Ether(dst="01:00:5e:00:00:01", src=source) / ip / IGMP_MQ(mrcode=1))


def is_report(frame: bytes, group: str) -> bool:
    """An IGMPv2 report of the group, or an IGMPv3 one with a record of it."""
    packet = Ether(frame)
    if IGMPv3_MR in packet:
        return any(record.maddr == group for record in packet[IGMPv3_MR].records)
    return IGMPv2_MR in packet and packet[IGMPv2_MR].gaddr == group


def main() -> int:
    interface, group, patience_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind((interface, 0x0800))
        wire.settimeout(QUERY_EVERY_S)
        query = build_query(wire.getsockname()[4])
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            wire.send(query)
            again_s = time.monotonic() + QUERY_EVERY_S
            while time.monotonic() < again_s:
                try:
                    frame = wire.recv(2048)
                except TimeoutError:
                    break
                if frame[23] == 2 and is_report(frame, group):
                    print(socket.inet_ntoa(frame[26:30]))
                    return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
