# SPDX-License-Identifier: Apache-2.0
"""From the memberships the kernel holds for us to those that are wanted: named actions. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from appliance.config.memberships import Address


@dataclass(frozen=True, slots=True)
class Seat:
    """A membership as the kernel keeps it: by interface index, which no other interface ever gets again."""

    ifindex: int
    group: Address
    source: Address | None = None

    def __str__(self) -> str:
        source = f" from {self.source}" if self.source is not None else ""
        return f"{self.group}{source} at interface {self.ifindex}"


class SeatActionKind(StrEnum):
    """What is done to a seat, or to all of an interface that is gone."""

    FORGET = "forget"
    JOIN = "join"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class SeatAction:
    """One step. `forget`: the interface is gone and its memberships with it, only our record is left."""

    kind: SeatActionKind
    seat: Seat

    def __str__(self) -> str:
        return f"{self.kind.value} {self.seat}"


def plan_memberships(
    active: Iterable[Seat], wanted: Iterable[Seat], present: Iterable[int]
) -> list[SeatAction]:
    """The actions from `active` to `wanted`; `present` are the interface indices that exist.

    What is gone is forgotten first, because it takes room. Joins come before leaves: where a route changes from any
    source to one, or back, the group is never left in between, so the network never stops sending.
    """
    held, needed, there = set(active), set(wanted), set(present)
    gone = {seat for seat in held if seat.ifindex not in there}
    steps = (
        (SeatActionKind.FORGET, gone),
        (SeatActionKind.JOIN, {seat for seat in needed - held if seat.ifindex in there}),
        (SeatActionKind.LEAVE, held - gone - needed),
    )
    return [SeatAction(kind, seat) for kind, seats in steps for seat in sorted(seats, key=_rank)]


def _rank(seat: Seat) -> tuple[int, int, bytes, bytes]:
    source = b"" if seat.source is None else seat.source.packed
    return (seat.ifindex, seat.group.version, seat.group.packed, source)
