# SPDX-License-Identifier: Apache-2.0
"""Membership plans: they lead from what is held to what is wanted, and never through less than both have."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from appliance.worker.membership_plan import Seat, SeatActionKind, plan_memberships

GROUPS = st.sampled_from([IPv4Address("239.1.2.1"), IPv4Address("232.1.2.1"), IPv6Address("ff3e::8000:1")])
SOURCES = st.sampled_from([None, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")])
SEATS = st.sets(st.builds(Seat, st.integers(1, 3), GROUPS, SOURCES), max_size=12)
LOST = st.sets(st.tuples(st.integers(1, 3), st.sampled_from([4, 6])), max_size=3)


@given(active=SEATS, wanted=SEATS, lost=LOST)
def test_a_plan_leads_to_what_is_wanted(
    active: set[Seat], wanted: set[Seat], lost: set[tuple[int, int]]
) -> None:
    held = set(active)
    kept = {seat for seat in active & wanted if seat.link not in lost}
    kinds = []
    for action in plan_memberships(active, wanted, lost):
        kinds.append(action.kind)
        if action.kind is SeatActionKind.JOIN:
            assert action.seat not in held
            held.add(action.seat)
        else:
            held.remove(action.seat)
        assert kept <= held
    assert held == {seat for seat in wanted if seat.link not in lost}
    order = list(SeatActionKind)
    assert kinds == sorted(kinds, key=order.index)


@given(active=SEATS, wanted=SEATS)
def test_between_any_source_and_one_a_group_is_never_left(active: set[Seat], wanted: set[Seat]) -> None:
    held = set(active)
    both = {(seat.ifindex, seat.group) for seat in active} & {(seat.ifindex, seat.group) for seat in wanted}
    for action in plan_memberships(active, wanted):
        change = held.add if action.kind is SeatActionKind.JOIN else held.remove
        change(action.seat)
        assert both <= {(seat.ifindex, seat.group) for seat in held}


@given(seats=SEATS)
def test_the_same_is_nothing(seats: set[Seat]) -> None:
    assert plan_memberships(seats, seats) == []


def test_actions_can_be_printed() -> None:
    one, two = Seat(2, IPv4Address("232.1.2.1"), IPv4Address("192.0.2.1")), Seat(3, IPv6Address("ff3e::1"))
    assert [str(action) for action in plan_memberships([one], [two])] == [
        "join ff3e::1 at interface 3",
        "leave 232.1.2.1 from 192.0.2.1 at interface 2",
    ]
    assert [str(action) for action in plan_memberships([two], [two], [(3, 6)])] == [
        "forget ff3e::1 at interface 3"
    ]
