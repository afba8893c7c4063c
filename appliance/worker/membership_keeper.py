# SPDX-License-Identifier: Apache-2.0
"""The memberships of a worker: read from memberships.json, held by sockets, told in joined.json.

Called by the main thread only, which has nothing else to do while the loop runs. Nothing in here ends the worker:
without a membership frames go on as long as the network sends them.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.config.memberships import Membership, load_memberships
from appliance.config.worker_spec import WorkerFiles
from appliance.host.vlans import find_vlan, read_vlans
from appliance.telemetry.records import MembershipRecord, MembershipReport
from appliance.worker.membership_plan import Seat, SeatAction, SeatActionKind, plan_memberships
from appliance.worker.membership_refusals import explain_absent, explain_ipv6_off, explain_refusal
from appliance.worker.membership_sockets import MembershipSockets

CHECK_PERIOD_S = 1.0
"""How often interfaces are looked at: one that came back has another index, and no membership."""

_RETRY_S = 10.0

Link = tuple[str, tuple[int, ...]]
"""Interface and tags: what a membership is joined through."""


class MembershipKeeper:
    """Leaving the block leaves every group, as the end of the process would."""

    def __init__(self, files: WorkerFiles) -> None:
        self._files = files
        self._sockets = MembershipSockets()
        self._wanted: tuple[Membership, ...] = ()
        self._links: dict[Link, int | None] = {}
        self._refused: dict[Seat, str] = {}
        self._problem: str | None = None
        self._tried_s = 0.0
        self._written = ""

    def __enter__(self) -> Self:
        self.read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.close()

    def read(self) -> None:
        """Take what the daemon wrote. What cannot be read leaves all as it was and is told."""
        self._guard(self._read)

    def check(self) -> None:
        """Join again where an interface came back, or where joining failed some time ago."""
        self._guard(self._check)

    def _guard(self, step: Callable[[], None]) -> None:
        # Whatever is wrong in here, even a defect: the loop runs on (law 1).
        try:
            step()
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"
            self._write()

    def _read(self) -> None:
        try:
            self._wanted = load_memberships(self._files.memberships)
            self._problem = None
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            self._problem = f"{self._files.memberships}: {first}; apply the configuration again"
        self._settle(find_links(self._wanted))

    def _check(self) -> None:
        if not self._wanted:
            return
        links = find_links(self._wanted)
        is_due = bool(self._refused) and time.monotonic() - self._tried_s >= _RETRY_S
        if links != self._links or is_due:
            self._settle(links)

    def _settle(self, links: dict[Link, int | None]) -> None:
        self._links, self._tried_s = links, time.monotonic()
        self._refused.clear()
        wanted = {seat for member in self._wanted if (seat := self._find_seat(member)) is not None}
        present = {index for index, _ in socket.if_nameindex()}
        for action in plan_memberships(self._sockets.seats, wanted, present):
            self._apply(action)
        self._write()

    def _find_seat(self, member: Membership) -> Seat | None:
        ifindex = self._links.get((member.interface, member.vlans))
        return None if ifindex is None else Seat(ifindex, member.group, member.source)

    def _apply(self, action: SeatAction) -> None:
        seat = action.seat
        try:
            if action.kind is SeatActionKind.FORGET:
                self._sockets.forget(seat.ifindex)
            elif action.kind is SeatActionKind.LEAVE:
                self._sockets.leave(seat)
            elif seat.group.version == 6 and (reason := explain_ipv6_off(seat)) is not None:
                self._refused[seat] = reason
            else:
                self._sockets.join(seat)
        except OSError as error:
            self._refused[seat] = explain_refusal(seat, error, self._sockets.socket_count)

    def _describe(self, member: Membership, held: Set[Seat]) -> MembershipRecord:
        seat = self._find_seat(member)
        if seat is None:
            state, problem = "waiting", explain_absent(member)
        elif seat in held:
            state, problem = "joined", None
        else:
            state, problem = "failed", self._refused.get(seat, "not tried yet")
        return MembershipRecord(
            interface=member.interface,
            vlans=member.vlans,
            group=str(member.group),
            source=None if member.source is None else str(member.source),
            state=state,
            problem=problem,
        )

    def _write(self) -> None:
        with contextlib.suppress(Exception):  # status compares it with memberships.json, and tells
            held = self._sockets.seats
            records = tuple(self._describe(member, held) for member in self._wanted)
            report = MembershipReport(pid=os.getpid(), memberships=records, problem=self._problem)
            text = report.model_dump_json(indent=1) + "\n"
            if text != self._written:
                replace_file(self._files.joined, text)
                self._written = text


def find_links(wanted: Iterable[Membership]) -> dict[Link, int | None]:
    """What the memberships are joined through → its interface index; None where there is none now."""
    indices = {name: index for index, name in socket.if_nameindex()}
    links = {(member.interface, member.vlans) for member in wanted}
    vlans: Mapping[tuple[str, int], str] = read_vlans() if any(tags for _, tags in links) else {}
    return {link: indices.get(find_vlan(vlans, *link) or "") for link in links}


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(text)
    aside.replace(path)
