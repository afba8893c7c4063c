# SPDX-License-Identifier: Apache-2.0
"""The memberships of a worker as it reports them, and what is wrong with them."""

import time
from collections.abc import Iterator
from pathlib import Path

from appliance.config.memberships import Membership, load_memberships
from appliance.config.worker_spec import WorkerFiles
from appliance.telemetry.records import MembershipRecord, MembershipReport

# A worker is told by a signal and needs milliseconds, a busy machine with thousands of groups seconds; a new link
# has its link-local address after one or two (RFC 4862, 5.4).
SETTLES_S = 5.0


def read_memberships(files: WorkerFiles, pid: int) -> MembershipReport:
    """What process `pid` left in joined.json; an empty report where it left none."""
    try:
        report = MembershipReport.model_validate_json(files.joined.read_bytes())
    except (OSError, ValueError):
        return MembershipReport(pid=pid)
    return report if report.pid == pid else MembershipReport(pid=pid)


def list_membership_problems(files: WorkerFiles, report: MembershipReport) -> Iterator[str]:
    """One sentence for each kind of trouble at an interface, however many groups it concerns."""
    name = f"worker {files.name}"
    if report.problem is not None:
        yield f"{name}: memberships: {report.problem}"
    hidden = "waiting" if _read_age_s(files.joined) < SETTLES_S else None
    groups: dict[tuple[str, str], list[MembershipRecord]] = {}
    for record in report.memberships:
        if record.problem is not None and record.state != hidden:
            groups.setdefault((record.interface, record.problem), []).append(record)
    for (interface, problem), records in groups.items():
        others = f" and {len(records) - 1} others" if len(records) > 1 else ""
        source = f" from {records[0].source}" if records[0].source is not None else ""
        yield f"{name}: {records[0].group}{source}{others} not joined at {interface}: {problem}"
    if report.problem is None and (text := _find_disagreement(files, report)) is not None:
        yield f"{name}: {text}"


def _read_age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _find_disagreement(files: WorkerFiles, report: MembershipReport) -> str | None:
    """A worker that does not take part: of an earlier version, or stuck."""
    try:
        if _read_age_s(files.memberships) < SETTLES_S:
            return None
        wanted = {_identify(member) for member in load_memberships(files.memberships)}
    except (OSError, ValueError):
        return None  # nothing was ever wanted, or the worker tells
    seen = {(record.interface, record.vlans, record.group, record.source) for record in report.memberships}
    if seen == wanted:
        return None
    return (
        f"process {report.pid} keeps {len(wanted & seen)} of the {len(wanted)} memberships its routes need, and "
        f"{len(seen - wanted)} others; it is stopped or of an earlier version: `kill {report.pid}` in the "
        "maintenance window, the daemon starts it again"
    )


def _identify(member: Membership) -> tuple[str, tuple[int, ...], str, str | None]:
    source = None if member.source is None else str(member.source)
    return (member.interface, member.vlans, str(member.group), source)
