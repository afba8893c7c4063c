# SPDX-License-Identifier: Apache-2.0
"""ssh, PTP and IGMP of the guest on the very ports that carry media, while they carry it.

On each cable a computer of the lab beside the media: ptp4l at both ends, on the first port the guest is the slave, on
the second one the master; an OpenSSH session over one port at a time; and a query who listens to which group.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scapy.layers.igmp import IGMPv3_MQ, IGMPv3_MR
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.l2 import Ether

from lab import deploy, ptp
from lab.exchange import exchange
from lab.guest import Guest
from lab.media import Media
from lab.report import Report
from lab.ssh import read_interfaces
from lab.ssh_session import BLOCK_BYTES, Session, read_connection
from lab.station import Station
from lab.wire import Wire

_ANSWERS = 2
"""Delay responses before a clock counts as measuring its path."""


@dataclass(frozen=True)
class Place:
    """One cable: the guest's interface with its address, and the lab's computer at the other end."""

    port: str
    interface: str
    ours: str
    theirs: str
    station: Station
    wire: Wire


@dataclass(frozen=True)
class Pair:
    """The two clocks on one cable."""

    slave: ptp.Clock
    master: ptp.Clock
    slave_state: str
    """The lab's clock is not steered: it measures, and stays UNCALIBRATED."""


def check_host_services(
    guest: Guest,
    macs: Mapping[str, str],
    media: Sequence[Media],
    slowdown: float,
    folder: Path,
    report: Report,
) -> None:
    """PTP over UDP with ssh over the first port, then PTP without IP with ssh over the second."""
    if os.geteuid() != 0:
        report.facts["ssh and PTP beside media"] = "NOT TESTED: TAP devices in namespaces need root"
        return
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_connected(guest, macs, number)) for number in range(len(guest.cables))]
        for place, transport in zip(places, ptp.TRANSPORTS, strict=True):
            _check_round(guest, places, place, transport, media, slowdown, folder, report)
    closed = all(worker["balanced"] for worker in deploy.read_status(guest.access)["workers"])
    report.check(
        "the account closes with the host's frames", closed, "received = forwarded + to_host + dropped"
    )


@contextlib.contextmanager
def _connected(guest: Guest, macs: Mapping[str, str], number: int) -> Iterator[Place]:
    port, path = guest.cables[number]
    interface = read_interfaces(guest.access)[macs[port]]
    ours, theirs = f"10.77.{number + 1}.1", f"10.77.{number + 1}.2"
    with (
        Station(port, f"02:00:00:4c:41:a{number}", f"{ours}/24") as station,
        station.join(path) as wire,
    ):
        guest.access.read(f"ip addr add {theirs}/24 dev {interface}")
        try:
            yield Place(port, interface, ours, theirs, station, wire)
        finally:
            guest.access.read(f"ip addr del {theirs}/24 dev {interface}")


def _check_round(
    guest: Guest,
    places: Sequence[Place],
    logged_in: Place,
    transport: str,
    media: Sequence[Media],
    slowdown: float,
    folder: Path,
    report: Report,
) -> None:
    with contextlib.ExitStack() as stack:
        pairs = [
            stack.enter_context(_clocks(guest, place, transport, folder, guest_is_slave=number == 0))
            for number, place in enumerate(places)
        ]
        before = [(pair.master.wait("MASTER"), pair.slave.wait(pair.slave_state, _ANSWERS)) for pair in pairs]
        seen = read_connection(logged_in.station, guest.access, logged_in.theirs).split()
        wanted = [logged_in.ours, logged_in.theirs, "22"]
        report.check(f"ssh over {logged_in.port}: login", [*seen[:1], *seen[2:]] == wanted, " ".join(seen))
        with Session(logged_in.station, guest.access, logged_in.theirs) as session:
            _send_media(places, media, slowdown, session, report)
        moved = f"{session.blocks * BLOCK_BYTES} bytes to the guest and back, each as it was"
        report.check(f"ssh over {logged_in.port}: session", session.fault is None, session.fault or moved)
        for pair, counted in zip(pairs, before, strict=True):
            _check_clocks(pair, transport, *counted, report)


@contextlib.contextmanager
def _clocks(guest: Guest, place: Place, transport: str, folder: Path, guest_is_slave: bool) -> Iterator[Pair]:
    theirs = ptp.start_in_guest(guest, place.interface, transport, master=not guest_is_slave)
    try:
        ours = ptp.start_at_station(place.station, folder, transport, master=guest_is_slave)
        try:
            time.sleep(1)  # until they answer pmc
            yield Pair(theirs, ours, "SLAVE") if guest_is_slave else Pair(ours, theirs, "UNCALIBRATED")
        finally:
            ours.stop()
    finally:
        theirs.stop()


def _send_media(
    places: Sequence[Place], media: Sequence[Media], slowdown: float, session: Session, report: Report
) -> None:
    """Both ways; in each the session must move, and who listens to the media's groups must answer a query."""
    groups = {flow.group for one in media for flow in one.flows}
    for enters, leaves in (places, places[::-1]):
        label = f"{enters.port} to {leaves.port} beside ssh and PTP"
        blocks = session.blocks
        enters.station.reports.clear()
        enters.wire.send(render_query(enters.ours))
        for one in media:
            exchange(one, enters.wire, leaves.wire, slowdown, report, label)
        report.check(
            f"{label}: the session goes on", session.blocks > blocks, f"{session.blocks - blocks} blocks"
        )
        answered = read_groups(enters.station.reports)
        report.check(
            f"{label}: IGMP", groups <= answered, f"the query is answered for {', '.join(sorted(answered))}"
        )


def _check_clocks(
    pair: Pair, transport: str, master: Mapping[str, str], slave: Mapping[str, str], report: Report
) -> None:
    """Both ports have the state they had before the media, never lost it, and messages went on, both ways."""
    for clock, before, state, counter in (
        (pair.master, master, "MASTER", "tx_Sync"),
        (pair.slave, slave, pair.slave_state, "rx_Delay_Resp"),
    ):
        now, log = clock.ask(), clock.read_log()
        faults, states = ptp.find_faults(log), ptp.parse_states(log)
        went_on = int(now.get(counter, 0)) - int(before.get(counter, 0))
        kept = now.get("portState") == state and states[-1:] == [state] and states.count(state) == 1
        said = (
            faults[0]
            if faults
            else f"{' '.join(states)}, {counter} +{went_on}, offset {now.get('offsetFromMaster')} ns, "
            f"path {now.get('meanPathDelay')} ns"
        )
        report.check(
            f"PTP {transport}: {clock.name} stays {state}", kept and went_on > 0 and not faults, said
        )


def render_query(source: str) -> bytes:
    """A general IGMPv3 query (RFC 3376, 4.1) that wants answers within 0.1 s."""
    ip = IP(src=source, dst="224.0.0.1", ttl=1, tos=0xC0, options=[IPOption_Router_Alert()])
    frame = Ether(dst="01:00:5e:00:00:01", src="02:00:00:4c:41:af") / ip
    return bytes(frame / IGMPv3_MQ(mrcode=1, qrv=2, qqic=125))


def read_groups(reports: Sequence[bytes]) -> set[str]:
    """Every group the reports (RFC 3376, 4.2) name."""
    packets = [Ether(frame) for frame in reports]
    return {record.maddr for packet in packets if IGMPv3_MR in packet for record in packet[IGMPv3_MR].records}
