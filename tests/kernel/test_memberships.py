# SPDX-License-Identifier: Apache-2.0
"""A querier at the camera's end sees the memberships of routed flows come and go with the routes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from appliance_process import Document
from querier import ALLOW, ANY, BLOCK, IS_EX, IS_IN, TO_EX, TO_IN, Querier
from studio import BLUE_GROUP, RED_GROUP, RouteLine, Studio

from appliance.config.device import parse_device
from appliance.config.memberships import Membership, render_memberships
from appliance.config.schema import Match, Port
from appliance.config.worker_spec import (
    MEMBERSHIPS_CHANGED,
    PortSpec,
    WorkerSpec,
    render_worker_spec,
    worker_files,
)

SIX_GROUP = "ff3e::8000:1"
SOURCES = {RED_GROUP: ["192.0.2.1", "192.0.2.2"], SIX_GROUP: ["2001:db8::1", "2001:db8::2"]}
RED, BLUE, SIX = (RouteLine(group, ["red"]) for group in (RED_GROUP, BLUE_GROUP, SIX_GROUP))


@pytest.fixture
def listening(studio: Studio) -> Iterator[tuple[Studio, Querier]]:
    """A studio that speaks IPv6 at `in` too, not started, and a querier at the other end."""
    allow_ipv6(studio)
    with Querier(studio.camera, "out0") as querier:
        yield studio, querier


def allow_ipv6(studio: Studio) -> None:
    studio.net.run(studio.middle, ["sysctl", "-qw", "net.ipv6.conf.in.disable_ipv6=0"])


def list_states(document: Document) -> dict[str, str]:
    (worker,) = document["workers"]
    return {record["group"]: record["state"] for record in worker["memberships"]}


def wait_joined(studio: Studio, *groups: str) -> Document:
    wanted = dict.fromkeys(groups, "joined")
    return studio.appliance.wait_until(lambda document: list_states(document) == wanted, f"joined {groups}")


def wait_problem(studio: Studio, text: str) -> None:
    studio.appliance.wait_until(lambda seen: any(text in problem for problem in seen["problems"]), "told")


def build_text(studio: Studio, routes: Sequence[RouteLine], change: Mapping[str, Any] | None) -> str:
    """With `change`, fields of the first route's match and of the port `in` (`match`, `port`)."""
    document = yaml.safe_load(studio.config(routes))
    for section, fields in (change or {}).items():
        target = document["routes"][0]["match"] if section == "match" else document["ports"][0]
        target.update(fields)
    return yaml.safe_dump(document, sort_keys=False)


def apply(studio: Studio, *routes: RouteLine, change: Mapping[str, Any] | None = None) -> None:
    done = studio.appliance.apply(build_text(studio, routes, change))
    assert done.returncode == 0, done.stderr


def build_wanted(*flows: tuple[str, str | None]) -> list[Membership]:
    return [
        Membership("in", (), ip_address(group), None if source is None else ip_address(source))
        for group, source in flows
    ]


def tell_worker(studio: Studio, *flows: tuple[str, str | None]) -> None:
    """What the daemon does: the worker's file and its signal."""
    wanted = build_wanted(*flows)
    files = worker_files(studio.appliance.runtime_dir, "main")
    aside = files.memberships.with_suffix(".test")
    aside.write_text(render_memberships(wanted))
    aside.replace(files.memberships)
    os.kill(studio.appliance.worker_pid(), MEMBERSHIPS_CHANGED)


def test_memberships_come_and_go_with_the_routes(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    studio.start([RED])
    querier.wait_for(lambda: querier.wants(RED_GROUP) == ANY)
    document = wait_joined(studio, RED_GROUP)
    assert document["problems"] == []
    assert document["workers"][0]["memberships"] == [
        {
            "interface": "in",
            "vlans": [],
            "group": RED_GROUP,
            "source": None,
            "state": "joined",
            "problem": None,
        }
    ]
    assert querier.wants(BLUE_GROUP) is querier.wants(SIX_GROUP) is None

    apply(studio, RED, BLUE, SIX)
    querier.wait_for(lambda: querier.wants(BLUE_GROUP) == querier.wants(SIX_GROUP) == ANY)
    wait_joined(studio, RED_GROUP, BLUE_GROUP, SIX_GROUP)

    apply(studio, BLUE)
    querier.wait_for(lambda: querier.wants(RED_GROUP) is querier.wants(SIX_GROUP) is None)
    wait_joined(studio, BLUE_GROUP)
    for group in (RED_GROUP, SIX_GROUP):
        assert querier.kinds_of(group) == [TO_EX, TO_IN]
    assert querier.kinds_of(BLUE_GROUP) == [TO_EX]

    studio.appliance.stop()
    querier.wait_for(lambda: querier.wants(BLUE_GROUP) is None)
    assert querier.kinds_of(BLUE_GROUP) == [TO_EX, TO_IN]


@pytest.mark.parametrize("group", [RED_GROUP, SIX_GROUP])
def test_named_sources_are_joined_alone(listening: tuple[Studio, Querier], group: str) -> None:
    studio, querier = listening
    one, two = SOURCES[group]
    studio.start([])
    tell_worker(studio, (group, one))
    querier.wait_for(lambda: querier.wants(group) == {one})
    tell_worker(studio, (group, one), (group, two))
    querier.wait_for(lambda: querier.wants(group) == {one, two})
    tell_worker(studio, (group, two))
    querier.wait_for(lambda: querier.wants(group) == {two})
    tell_worker(studio, (group, None))
    querier.wait_for(lambda: querier.wants(group) == ANY)
    tell_worker(studio, (group, one))
    querier.wait_for(lambda: querier.wants(group) == {one})
    tell_worker(studio)
    querier.wait_for(lambda: querier.wants(group) is None)
    # By first sight: the kernel repeats what it allowed (RFC 3810, 6.1), perhaps after what it blocked since.
    assert list(dict.fromkeys(querier.kinds_of(group)))[:3] == [ALLOW, BLOCK, TO_EX]
    # From any source to one the group is never left: the change names the source.
    changes = {
        record.sources
        for record in querier.records
        if record.kind == TO_IN and record.group == ip_address(group)
    }
    assert changes == {frozenset({ip_address(one)})}


@contextmanager
def start_worker(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def test_the_kernel_answers_queries(studio: Studio, tmp_path: Path) -> None:
    """The worker's memberships, at an interface whose queries reach the kernel: no port of its own takes them away."""
    allow_ipv6(studio)
    wanted = [
        (RED_GROUP, None),
        (BLUE_GROUP, "192.0.2.1"),
        (SIX_GROUP, "2001:db8::1"),
        ("ff3e::8000:2", None),
    ]
    ports = tuple(PortSpec(name=name, device=parse_device(f"memory:{name}")) for name in ("a", "b"))
    files = worker_files(tmp_path / "answering", "main")
    files.folder.mkdir(parents=True)
    files.spec.write_text(render_worker_spec(WorkerSpec(name="main", ports=ports)))
    files.memberships.write_text(render_memberships(build_wanted(*wanted)))
    command = [sys.executable, "-P", "-m", "appliance.worker", "--runtime-dir", str(tmp_path / "answering")]
    with (
        Querier(studio.camera, "out0") as querier,
        start_worker(studio.net.command(studio.middle, [*command, "--name", "main"])) as worker,
    ):
        querier.wait_for(lambda: all(querier.wants(group) for group, _ in wanted), timeout_s=60)
        # Unsolicited reports are repeated (RFC 3376, 8.11, RFC 3810, 9.11): only an answer is a current state record.
        querier.forget_all()
        querier.query_igmp()
        querier.query_mld()
        answers = {(RED_GROUP, IS_EX), (BLUE_GROUP, IS_IN), (SIX_GROUP, IS_IN), ("ff3e::8000:2", IS_EX)}
        querier.wait_for(lambda: answers <= {(str(record.group), record.kind) for record in querier.records})
        assert querier.wants(BLUE_GROUP) == {"192.0.2.1"}
        assert querier.wants(SIX_GROUP) == {"2001:db8::1"}
        worker.terminate()
        querier.wait_for(lambda: not any(querier.wants(group) for group, _ in wanted))
        assert worker.wait(20) == 0


@pytest.mark.skipif(
    "host_stack" not in Port.model_fields, reason="this version has no `host_stack` of a port"
)
def test_queries_are_answered_while_media_bypasses_the_stack(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    change = {"port": {"host_stack": ["igmp", "mld"]}}
    studio.appliance.start(build_text(studio, [RED, SIX], change))
    wait_joined(studio, RED_GROUP, SIX_GROUP)
    querier.wait_for(lambda: querier.wants(RED_GROUP) == querier.wants(SIX_GROUP) == ANY)
    querier.forget_all()
    querier.query_igmp()
    querier.query_mld()
    answers = {(RED_GROUP, IS_EX), (SIX_GROUP, IS_EX)}
    querier.wait_for(lambda: answers <= {(str(record.group), record.kind) for record in querier.records})
    # What is not routed any more is not in the next answer.
    done = studio.appliance.apply(build_text(studio, [BLUE, SIX], change))
    assert done.returncode == 0, done.stderr
    querier.wait_for(lambda: querier.wants(RED_GROUP) is None and querier.wants(BLUE_GROUP) == ANY)
    querier.forget_all()
    querier.query_igmp()
    querier.wait_for(
        lambda: (BLUE_GROUP, IS_EX) in {(str(seen.group), seen.kind) for seen in querier.records}
    )
    assert querier.wants(RED_GROUP) is None


@pytest.mark.skipif("source" not in Match.model_fields, reason="this version has no `source` in a match")
@pytest.mark.parametrize("group", [RED_GROUP, SIX_GROUP])
def test_a_route_that_names_a_source_joins_only_that(listening: tuple[Studio, Querier], group: str) -> None:
    studio, querier = listening
    one, two = SOURCES[group]
    route = RouteLine(group, ["red"])
    studio.start([])
    apply(studio, route, change={"match": {"source": one}})
    querier.wait_for(lambda: querier.wants(group) == {one})
    (record,) = wait_joined(studio, group)["workers"][0]["memberships"]
    assert record["source"] == one
    apply(studio, route, change={"match": {"source": two}})
    querier.wait_for(lambda: querier.wants(group) == {two})
    apply(studio, BLUE)
    querier.wait_for(lambda: querier.wants(group) is None)
    assert set(querier.kinds_of(group)) == {ALLOW, BLOCK}


def test_kill_9_of_the_daemon_leaves_no_group(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    appliance = studio.appliance
    studio.start([RED, SIX])
    querier.wait_for(lambda: querier.wants(RED_GROUP) == querier.wants(SIX_GROUP) == ANY)
    wait_joined(studio, RED_GROUP, SIX_GROUP)
    appliance.kill_daemon()
    assert list_states(appliance.status().document) == {RED_GROUP: "joined", SIX_GROUP: "joined"}
    appliance.start_daemon()
    wait_joined(studio, RED_GROUP, SIX_GROUP)
    # A later change is heard: what was heard before it is all there was, and no leave is in it.
    apply(studio, RED, SIX, BLUE)
    querier.wait_for(lambda: querier.wants(BLUE_GROUP) == ANY)
    assert querier.kinds_of(RED_GROUP) == querier.kinds_of(SIX_GROUP) == [TO_EX]
    apply(studio, BLUE)
    querier.wait_for(lambda: querier.wants(RED_GROUP) is querier.wants(SIX_GROUP) is None)


def test_a_worker_that_was_killed_is_joined_again(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    studio.start([RED])
    querier.wait_for(lambda: querier.wants(RED_GROUP) == ANY)
    os.kill(studio.appliance.worker_pid(), signal.SIGKILL)
    querier.wait_for(lambda: querier.kinds_of(RED_GROUP)[:3] == [TO_EX, TO_IN, TO_EX], timeout_s=60)
    assert querier.wants(RED_GROUP) == ANY
    wait_joined(studio, RED_GROUP)


def test_an_interface_that_comes_back_is_joined_again(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    studio.start([RED, SIX])
    querier.wait_for(lambda: querier.wants(RED_GROUP) == ANY)
    worker = studio.appliance.worker_pid()
    studio.net.remove_link(studio.middle, "in")
    gone = {RED_GROUP: "waiting", SIX_GROUP: "waiting"}
    studio.appliance.wait_until(lambda seen: list_states(seen) == gone, "waiting")
    wait_problem(studio, f"{RED_GROUP} and 1 others not joined at in: the interface in does not exist")
    studio.net.connect(studio.camera, "out0", studio.middle, "in")
    allow_ipv6(studio)
    with Querier(studio.camera, "out0") as again:
        wait_joined(studio, RED_GROUP, SIX_GROUP)
        again.wait_for(lambda: again.wants(RED_GROUP) == again.wants(SIX_GROUP) == ANY)
    assert studio.appliance.worker_pid() == worker


def test_a_link_that_comes_back_is_told_again(listening: tuple[Studio, Querier]) -> None:
    """What is at the other end now may know nothing; the kernel alone would wait to be asked."""
    studio, querier = listening
    flows = [(RED_GROUP, SOURCES[RED_GROUP][0]), (BLUE_GROUP, None), (SIX_GROUP, SOURCES[SIX_GROUP][0])]
    studio.start([])
    tell_worker(studio, *flows)
    querier.wait_for(lambda: all(querier.wants(group) for group, _ in flows))
    wait_joined(studio, *(group for group, _ in flows))
    studio.net.run(studio.camera, ["ip", "link", "set", "out0", "down"])
    waiting = {group: "waiting" for group, _ in flows}
    studio.appliance.wait_until(lambda seen: list_states(seen) == waiting, "waiting")
    querier.forget_all()
    studio.net.run(studio.camera, ["ip", "link", "set", "out0", "up"])
    querier.wait_for(lambda: all(querier.wants(group) for group, _ in flows))
    assert querier.wants(RED_GROUP) == set(SOURCES[RED_GROUP][:1])
    assert querier.wants(SIX_GROUP) == set(SOURCES[SIX_GROUP][:1])


def test_more_groups_than_one_socket_holds(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    limit = int(studio.net.run(studio.middle, ["sysctl", "-n", "net.ipv4.igmp_max_memberships"]))
    groups = [f"239.21.{number >> 8}.{number & 255}" for number in range(1, 3 * limit)]
    studio.start([RouteLine(group, ["red"]) for group in groups])
    querier.wait_for(lambda: all(querier.wants(group) == ANY for group in groups))
    wait_joined(studio, *groups)
    apply(studio, *(RouteLine(group, ["red"]) for group in groups[:2]))
    querier.wait_for(lambda: all(querier.wants(group) is None for group in groups[2:]))
    wait_joined(studio, *groups[:2])


def test_what_cannot_be_joined_is_a_problem_and_tried_again(studio: Studio) -> None:
    studio.start([RED, SIX])  # IPv6 is off in these namespaces
    wait_problem(
        studio,
        f"{SIX_GROUP} not joined at in: IPv6 is off at in; `sysctl -w net.ipv6.conf.in.disable_ipv6=0`",
    )
    wanted = {RED_GROUP: "joined", SIX_GROUP: "waiting"}
    assert list_states(studio.appliance.status().document) == wanted
    allow_ipv6(studio)
    assert wait_joined(studio, RED_GROUP, SIX_GROUP)["problems"] == []


def test_a_port_of_a_network_that_sends_anyway(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    studio.start([RED])
    querier.wait_for(lambda: querier.wants(RED_GROUP) == ANY)
    worker = studio.appliance.worker_pid()
    apply(studio, RED, change={"port": {"membership": "off"}})
    querier.wait_for(lambda: querier.wants(RED_GROUP) is None)
    assert wait_joined(studio)["problems"] == []
    assert studio.appliance.worker_pid() == worker


def test_a_damaged_file_keeps_what_is_joined(listening: tuple[Studio, Querier]) -> None:
    studio, querier = listening
    studio.start([RED])
    querier.wait_for(lambda: querier.wants(RED_GROUP) == ANY)
    files = worker_files(studio.appliance.runtime_dir, "main")
    files.memberships.write_text(json.dumps([{"interface": "in"}]))
    os.kill(studio.appliance.worker_pid(), MEMBERSHIPS_CHANGED)
    wait_problem(studio, "memberships.json")
    apply(studio, RED, BLUE)
    querier.wait_for(lambda: querier.wants(BLUE_GROUP) == ANY)
    assert wait_joined(studio, RED_GROUP, BLUE_GROUP)["problems"] == []
    assert querier.kinds_of(RED_GROUP) == [TO_EX]
