# SPDX-License-Identifier: Apache-2.0
"""From the memberships the kernel holds for us to those that are wanted: named actions. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from appliance.config.memberships import Address


@dataclass(frozen=True, slots=True)
class Seat:
    """A membership as the kernel keeps it: by interface index. One that is made anew has another."""

    ifindex: int
    group: Address
    source: Address | None = None

    @property
    def link(self) -> tuple[int, int]:
        """Interface index and IP version."""
        return (self.ifindex, self.group.version)

    def __str__(self) -> str:
        source = f" from {self.source}" if self.source is not None else ""
        return f"{self.group}{source} at interface {self.ifindex}"


class SeatActionKind(StrEnum):
    """What is done to a seat."""

    FORGET = "forget"
    JOIN = "join"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class SeatAction:
    """One step. `forget`: nobody hears of it, the interface is gone or its link lost; it is joined anew then."""

    kind: SeatActionKind
    seat: Seat

    def __str__(self) -> str:
        return f"{self.kind.value} {self.seat}"


def plan_memberships(
    active: Iterable[Seat], wanted: Iterable[Seat], lost: Iterable[tuple[int, int]] = ()
) -> list[SeatAction]:
    """The actions from `active` to `wanted`; `lost` are the (interface index, IP version) that cannot be used now.

    What is lost is forgotten first, because it takes room. Joins come before leaves: where a route changes from any
    source to one, or back, the group is never left in between, so the network never stops sending.
    """
    held, needed, gone = set(active), set(wanted), set(lost)
    forgotten = {seat for seat in held if seat.link in gone}
    steps = (
        (SeatActionKind.FORGET, forgotten),
        (SeatActionKind.JOIN, {seat for seat in needed - held if seat.link not in gone}),
        (SeatActionKind.LEAVE, held - forgotten - needed),
    )
    return [SeatAction(kind, seat) for kind, seats in steps for seat in sorted(seats, key=_rank)]


def _rank(seat: Seat) -> tuple[int, int, bytes, bytes]:
    source = b"" if seat.source is None else seat.source.packed
    return (*seat.link, seat.group.packed, source)
