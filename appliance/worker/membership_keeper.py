# SPDX-License-Identifier: Apache-2.0
"""The memberships of a worker: read from memberships.json, held by sockets, told in joined.json.

Called by the main thread only, which has nothing else to do while the loop runs. Nothing in here ends the worker:
without a membership frames go on as long as the network sends them.
"""

import contextlib
import os
import time
from collections.abc import Callable, Set
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.config.memberships import Membership, load_memberships
from appliance.config.worker_spec import WorkerFiles
from appliance.telemetry.records import MembershipRecord, MembershipReport
from appliance.worker.membership_links import Link, LinkState, read_links
from appliance.worker.membership_plan import Seat, SeatAction, SeatActionKind, plan_memberships
from appliance.worker.membership_refusals import explain_refusal
from appliance.worker.membership_sockets import MembershipSockets

CHECK_PERIOD_S = 1.0
"""How often links are looked at."""

_RETRY_S = 10.0


class MembershipKeeper:
    """Leaving the block leaves every group, as the end of the process would."""

    def __init__(self, files: WorkerFiles) -> None:
        self._files = files
        self._sockets = MembershipSockets()
        self._wanted: tuple[Membership, ...] = ()
        self._needed: frozenset[Link] = frozenset()
        self._links: dict[Link, LinkState] = {}
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
            self._needed = frozenset(map(Link.of, self._wanted))
            self._problem = None
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            self._problem = f"{self._files.memberships}: {first}; apply the configuration again"
        self._settle(read_links(self._needed))

    def _check(self) -> None:
        if not self._wanted:
            return
        links = read_links(self._needed)
        is_due = bool(self._refused) and time.monotonic() - self._tried_s >= _RETRY_S
        if links != self._links or is_due:
            self._settle(links)

    def _settle(self, links: dict[Link, LinkState]) -> None:
        self._links, self._tried_s = links, time.monotonic()
        self._refused.clear()
        # Joined at a link that is not there now: for nothing, and to be joined anew.
        lost = {(seat.ifindex, seat.group.version) for seat in self._sockets.seats} - {
            (state.ifindex, link.version) for link, state in links.items()
        }
        wanted = {seat for member in self._wanted if (seat := self._find_seat(member)) is not None}
        for action in plan_memberships(self._sockets.seats, wanted, lost):
            self._apply(action)
        self._write()

    def _find_seat(self, member: Membership) -> Seat | None:
        state = self._links.get(Link.of(member))
        if state is None or state.ifindex is None:
            return None
        return Seat(state.ifindex, member.group, member.source)

    def _apply(self, action: SeatAction) -> None:
        seat = action.seat
        try:
            if action.kind is SeatActionKind.FORGET:
                self._sockets.forget(seat.ifindex, seat.group.version)
            elif action.kind is SeatActionKind.LEAVE:
                self._sockets.leave(seat)
            else:
                self._sockets.join(seat)
        except OSError as error:
            names = {state.ifindex: state.name for state in self._links.values()}
            name = names.get(seat.ifindex, f"interface {seat.ifindex}")
            self._refused[seat] = explain_refusal(name, error, self._sockets.socket_count)

    def _describe(self, member: Membership, held: Set[Seat]) -> MembershipRecord:
        seat = self._find_seat(member)
        if seat is None:
            link = self._links.get(Link.of(member))
            state, problem = "waiting", "not looked at yet" if link is None else link.reason
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


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(text)
    aside.replace(path)
