# SPDX-License-Identifier: Apache-2.0
"""A multicast router's ears at one interface: what membership reports say, by RFC 3376 and RFC 3810.

    with Querier(namespace, "out0") as querier:
        querier.wait_for(lambda: querier.wants("239.20.1.1") == ANY)

Frames are read from a raw socket and decoded by scapy; nothing of the appliance is used.
"""

import ctypes
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab_net import Namespace
from scapy.layers.igmp import IGMPv3_MQ, IGMPv3_MR
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6MLDMultAddrRec,
    ICMPv6MLQuery2,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether

Address = IPv4Address | IPv6Address

ANY = "any source"
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)
"""Record types, RFC 3376, 4.2.12; the same in RFC 3810, 5.2.12."""

_ETH_P_ALL = 3  # <linux/if_ether.h>
_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_ALL_V3_ROUTERS = {"224.0.0.22", "ff02::16"}


@dataclass(frozen=True)
class ReportRecord:
    """One group record of a report."""

    kind: int
    group: Address
    sources: frozenset[Address]
    destination: str
    """Where the report was sent to."""


class Querier:
    """`records` is all that was heard; `wants` what a router would forward by it."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self._socket = open_raw_socket(namespace, interface)
        self._socket.setblocking(False)
        self.records: list[ReportRecord] = []
        self._wanted: dict[Address, str | set[Address]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def wants(self, group: str) -> str | set[str] | None:
        """ANY, or the sources wanted; None where nobody wants the group."""
        wanted = self._wanted.get(ip_address(group))
        return {str(source) for source in wanted} if isinstance(wanted, set) else wanted

    def kinds_of(self, group: str) -> list[int]:
        """The types of the records heard about a group, repeats left out."""
        heard = [record.kind for record in self.records if record.group == ip_address(group)]
        return [kind for index, kind in enumerate(heard) if index == 0 or heard[index - 1] != kind]

    def forget_all(self) -> None:
        """As a router that starts: it knows nothing until somebody reports."""
        self.listen()
        self.records.clear()
        self._wanted.clear()

    def query_igmp(self) -> None:
        """A general query (RFC 3376, 4.1) that asks for answers within a tenth of a second."""
        options = [IPOption_Router_Alert()]
        header = IP(src="0.0.0.0", dst="224.0.0.1", ttl=1, tos=0xC0, options=options)
        self._socket.send(bytes(Ether(dst="01:00:5e:00:00:01") / header / IGMPv3_MQ(mrcode=1)))

    def query_mld(self, source: str = "fe80::1") -> None:
        """The same for IPv6 (RFC 3810, 5.1)."""
        header = IPv6(src=source, dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()])
        self._socket.send(bytes(Ether(dst="33:33:00:00:00:01") / header / ICMPv6MLQuery2(mrd=100)))

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Listen until `condition`; AssertionError with what was heard after the time limit."""
        end_s = time.monotonic() + timeout_s
        self.listen()
        while not condition():
            assert time.monotonic() < end_s, f"heard {self.records}"
            time.sleep(0.02)
            self.listen()

    def listen(self) -> None:
        """Take what has arrived."""
        while True:
            try:
                frame, address = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # told once, packet(7); it goes on when the link does
                    raise
                continue
            if address[2] != socket.PACKET_OUTGOING:
                for record in decode_reports(frame):
                    self.records.append(record)
                    self._take(record)

    def _take(self, record: ReportRecord) -> None:
        """The router's state, RFC 3376, 6.4, with timers of no length: what is left is gone at once."""
        before = self._wanted.get(record.group)
        if record.kind in (IS_EX, TO_EX):
            self._wanted[record.group] = ANY
        elif record.kind == TO_IN or before is None:
            self._wanted[record.group] = set() if record.kind == BLOCK else set(record.sources)
        elif isinstance(before, set):
            self._wanted[record.group] = (
                before - record.sources if record.kind == BLOCK else before | record.sources
            )
        if self._wanted[record.group] == set():
            del self._wanted[record.group]


def decode_reports(frame: bytes) -> Iterator[ReportRecord]:
    """The group records of an IGMPv3 or MLDv2 report; nothing of any other frame."""
    parsed: Any = Ether(frame)
    if IGMPv3_MR in parsed:
        destination, records = parsed[IP].dst, parsed[IGMPv3_MR].records
        found = [(record.rtype, record.maddr, record.srcaddrs) for record in records]
    elif ICMPv6MLReport2 in parsed:
        destination = parsed[IPv6].dst
        records = [record for first in parsed[ICMPv6MLReport2].records for record in list_chained(first)]
        found = [(record.rtype, record.dst, record.sources) for record in records]
    else:
        return
    assert destination in _ALL_V3_ROUTERS, f"a report to {destination}"
    for kind, group, sources in found:
        yield ReportRecord(kind, ip_address(group), frozenset(map(ip_address, sources)), destination)


def list_chained(record: Any) -> Iterator[Any]:
    """Scapy 2.8 hangs the second record of an MLDv2 report below the first."""
    while isinstance(record, ICMPv6MLDMultAddrRec):
        yield record
        record = record.payload


def open_raw_socket(namespace: Namespace, interface: str) -> socket.socket:
    """All frames of an interface in a namespace. A thread of its own goes there; the socket stays in it."""
    made: list[socket.socket | OSError] = []

    def enter() -> None:
        try:
            with Path(f"/run/netns/{namespace.name}").open() as there:
                if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            raw.bind((interface, _ETH_P_ALL))
            made.append(raw)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    (result,) = made
    if isinstance(result, OSError):
        raise result
    return result
