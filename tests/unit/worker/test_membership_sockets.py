# SPDX-License-Identifier: Apache-2.0
"""Real sockets at the loopback interface: what the kernel's own tables say of them."""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from appliance.worker.membership_plan import Seat
from appliance.worker.membership_sockets import MembershipSockets

LOOPBACK = socket.if_nametoindex("lo")
LIMIT = int(Path("/proc/sys/net/ipv4/igmp_max_memberships").read_text())
SOURCE_LIMIT = int(Path("/proc/sys/net/ipv4/igmp_max_msf").read_text())
SEATS = [Seat(LOOPBACK, IPv4Address(f"239.211.0.{number}")) for number in range(1, 2 * LIMIT + 2)]


@pytest.fixture
def sockets() -> Iterator[MembershipSockets]:
    made = MembershipSockets()
    yield made
    made.close()


def read_groups() -> set[IPv4Address]:
    """Of 239.211/16 at the loopback interface, by /proc/net/igmp: addresses as the machine's words."""
    rows = [
        line.split() for line in Path("/proc/net/igmp").read_text().splitlines() if line.startswith("\t\t")
    ]
    found = {IPv4Address(int(row[0], 16).to_bytes(4, "little")) for row in rows}
    return {group for group in found if group.packed[:2] == bytes((239, 211))}


def read_sources() -> set[tuple[IPv4Address, IPv4Address]]:
    """(Group, source) included at the loopback interface, by /proc/net/mcfilter."""
    rows = [line.split() for line in Path("/proc/net/mcfilter").read_text().splitlines()[1:]]
    return {
        (IPv4Address(int(row[2], 16)), IPv4Address(int(row[3], 16)))
        for row in rows
        if row[1] == "lo" and int(row[4]) > 0
    }


def test_more_than_one_socket_holds(sockets: MembershipSockets) -> None:
    for seat in SEATS:
        sockets.join(seat)
    assert sockets.seats == set(SEATS)
    assert read_groups() == {seat.group for seat in SEATS}
    assert sockets.socket_count == 3

    # What is left makes room for others, wherever it was.
    for seat in SEATS[: LIMIT // 2]:
        sockets.leave(seat)
    assert read_groups() == {seat.group for seat in SEATS[LIMIT // 2 :]}
    for seat in SEATS[: LIMIT // 2]:
        sockets.join(seat)
    assert sockets.socket_count == 3
    for seat in SEATS:
        sockets.leave(seat)
    assert (sockets.seats, sockets.socket_count, read_groups()) == (set(), 0, set())


def test_more_sources_than_one_socket_holds(sockets: MembershipSockets) -> None:
    group = SEATS[0].group
    seats = [Seat(LOOPBACK, group, IPv4Address(f"192.0.2.{number}")) for number in range(1, SOURCE_LIMIT + 2)]
    for seat in seats:
        sockets.join(seat)
    assert sockets.socket_count == 2
    assert read_sources() >= {(group, seat.source) for seat in seats}
    for seat in seats:
        sockets.leave(seat)
    assert (sockets.socket_count, read_groups()) == (0, set())


def test_a_group_with_and_without_a_source(sockets: MembershipSockets) -> None:
    every, one = SEATS[0], Seat(LOOPBACK, SEATS[0].group, IPv4Address("192.0.2.1"))
    for seat in (every, one):
        sockets.join(seat)
    sockets.leave(every)
    assert (every.group, one.source) in read_sources()
    assert sockets.seats == {one}


def test_forgetting_leaves_one_family_of_one_interface(sockets: MembershipSockets) -> None:
    sockets.join(SEATS[0])
    sockets.forget(LOOPBACK, 6)
    sockets.forget(LOOPBACK + 1, 4)
    assert sockets.seats == {SEATS[0]}
    sockets.forget(LOOPBACK, 4)
    assert (sockets.seats, read_groups()) == (set(), set())


def test_the_rest_of_the_process_keeps_its_descriptors() -> None:
    sockets = MembershipSockets(most=1)
    for seat in SEATS[:LIMIT]:
        sockets.join(seat)
    with pytest.raises(OSError, match="Too many open files"):
        sockets.join(SEATS[LIMIT])
    assert (sockets.seats, sockets.socket_count) == (set(SEATS[:LIMIT]), 1)
    sockets.leave(SEATS[0])
    sockets.join(SEATS[LIMIT])
    sockets.close()
    assert read_groups() == set()


def test_an_interface_that_is_not_there(sockets: MembershipSockets) -> None:
    with pytest.raises(OSError, match="No such device"):
        sockets.join(Seat(0x7FFF_FFFF, SEATS[0].group))
    assert (sockets.seats, sockets.socket_count) == (set(), 0)
