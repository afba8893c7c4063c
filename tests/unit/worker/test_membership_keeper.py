# SPDX-License-Identifier: Apache-2.0
"""From memberships.json to joined.json, at the loopback interface of this machine."""

import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.config.memberships import Membership, render_memberships
from appliance.config.worker_spec import WorkerFiles
from appliance.telemetry.memberships import list_membership_problems, read_memberships
from appliance.telemetry.records import MembershipRecord
from appliance.worker.membership_keeper import MembershipKeeper

JOINED = Membership("lo", (), ip_address("239.211.1.1"), None)
ABSENT = Membership("nope0", (), ip_address("239.211.1.1"), ip_address("192.0.2.1"))
TAGGED = Membership("lo", (100, 200), ip_address("239.211.1.1"), None)


@pytest.fixture
def files(tmp_path: Path) -> WorkerFiles:
    return WorkerFiles(tmp_path)


def write(files: WorkerFiles, *wanted: Membership) -> None:
    files.memberships.write_text(render_memberships(wanted))


def read(files: WorkerFiles) -> dict[str, MembershipRecord]:
    report = read_memberships(files, os.getpid())
    return {f"{record.interface} {record.vlans}": record for record in report.memberships}


def list_problems(files: WorkerFiles) -> list[str]:
    """As if all had been so for a minute."""
    for path in (files.joined, files.memberships):
        os.utime(path, (0, 0))
    return list(list_membership_problems(files, read_memberships(files, os.getpid())))


def test_nothing_is_wanted(files: WorkerFiles) -> None:
    with MembershipKeeper(files) as keeper:
        keeper.check()
        assert read(files) == {}
        assert files.joined.exists()


def test_what_becomes_of_each(files: WorkerFiles) -> None:
    write(files, JOINED, ABSENT, TAGGED)
    with MembershipKeeper(files) as keeper:
        keeper.check()
        states = {name: record.state for name, record in read(files).items()}
        assert states == {"lo ()": "joined", "nope0 ()": "waiting", "lo (100, 200)": "waiting"}
        assert list_problems(files) == [
            f"worker {files.name}: 239.211.1.1 from 192.0.2.1 not joined at nope0: the interface nope0 does not exist; "
            "it is joined when it comes",
            f"worker {files.name}: 239.211.1.1 not joined at lo: no interface sends with vlan 100.200 through lo; "
            '`ip link add link lo.100 name lo.100.200 type vlan id 200` and set it up, or write `membership: "off"` '
            "where the network sends the group anyway",
        ]
        write(files, JOINED)
        keeper.read()
        assert list_problems(files) == []


def test_a_damaged_file_changes_nothing(files: WorkerFiles) -> None:
    write(files, JOINED)
    with MembershipKeeper(files) as keeper:
        files.memberships.write_text("{")
        keeper.read()
        assert read(files)["lo ()"].state == "joined"
        (problem,) = list_problems(files)
        assert problem.startswith(f"worker {files.name}: memberships: {files.memberships}: ")
        assert problem.endswith("; apply the configuration again")


def test_a_folder_that_is_gone_is_survived(files: WorkerFiles, tmp_path: Path) -> None:
    write(files, JOINED)
    with MembershipKeeper(files) as keeper:
        for path in tmp_path.iterdir():
            path.unlink()
        tmp_path.rmdir()
        keeper.read()
        keeper.check()


def test_a_worker_that_does_not_take_part_is_told(files: WorkerFiles) -> None:
    write(files, JOINED, ABSENT)
    os.utime(files.memberships, (0, 0))
    report = read_memberships(files, 42)
    assert list(list_membership_problems(files, report)) == [
        f"worker {files.name}: process 42 keeps 0 of the 2 memberships its routes need, and 0 others; it is stopped or "
        "of an earlier version: `kill 42` in the maintenance window, the daemon starts it again"
    ]
    write(files, JOINED, ABSENT)  # just now: it may be at it
    assert list(list_membership_problems(files, report)) == []


def test_the_report_of_another_process_is_none(files: WorkerFiles) -> None:
    write(files, JOINED)
    with MembershipKeeper(files):
        assert read_memberships(files, os.getpid()).memberships
        assert read_memberships(files, os.getpid() + 1).memberships == ()


def test_many_of_one_kind_are_one_problem(files: WorkerFiles) -> None:
    write(files, *(Membership("nope0", (), ip_address(f"239.211.2.{host}"), None) for host in range(1, 9)))
    with MembershipKeeper(files):
        (problem,) = list_problems(files)
    assert "239.211.2.1 and 7 others not joined at nope0" in problem
