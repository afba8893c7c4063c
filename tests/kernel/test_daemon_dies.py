# SPDX-License-Identifier: Apache-2.0
"""Law 1: the daemon may die; frames may not."""

import os
import signal

from media_tools import MediaSource
from studio import BLUE_GROUP, DEFAULT_ROUTES, RED_GROUP, RouteLine, Studio, check_all_arrived

VIDEO = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP)
EXPECTED = {"red": [RED_GROUP]}


def test_kill_9_of_the_daemon_while_media_flows(forwarding: Studio) -> None:
    appliance = forwarding.appliance
    worker = appliance.worker_pid()
    stream = forwarding.start_stream()

    appliance.kill_daemon()
    stream.wait_more()
    answer = appliance.status()
    assert answer.exit_code == 4
    assert answer.document["daemon"]["running"] is False
    assert "daemon" in answer.document["daemon"]["problem"]
    assert any("daemon" in problem for problem in answer.document["problems"])
    (record,) = answer.document["workers"]
    assert (record["pid"], record["alive"], record["running"], record["balanced"]) == (
        worker,
        True,
        True,
        True,
    )
    assert record["account"]["received_frames"] > 0

    appliance.start_daemon()
    document = appliance.wait_until(lambda status: status["daemon"]["running"], "answering")
    assert [record["pid"] for record in document["workers"]] == [worker]
    assert document["problems"] == []
    # The adopted worker takes a new generation while frames flow.
    done = appliance.apply(forwarding.config([*DEFAULT_ROUTES, RouteLine("239.20.1.9", ["blue"])]))
    assert done.returncode == 0, done.stderr

    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])
    ingress = forwarding.ingress()
    assert ingress["received_frames"] == ingress["forwarded_frames"] == sent
    assert appliance.worker_pid() == worker


def test_an_upgrade_of_the_daemon_while_media_flows(forwarding: Studio) -> None:
    appliance = forwarding.appliance
    worker = appliance.worker_pid()
    stream = forwarding.start_stream()
    assert appliance.stop(number=signal.SIGUSR1) == ""  # no final account: the worker goes on
    assert appliance.exit_code == 0
    stream.wait_more()
    appliance.start_daemon()
    document = appliance.wait_until(lambda status: status["daemon"]["running"], "answering")
    assert [record["pid"] for record in document["workers"]] == [worker]
    assert document["problems"] == []
    sent, reports = stream.finish()
    check_all_arrived(sent, reports, ["red"])


def test_the_new_daemon_routes_what_it_was_told(forwarding: Studio) -> None:
    worker = forwarding.appliance.worker_pid()
    forwarding.appliance.kill_daemon()
    forwarding.appliance.start_daemon()
    forwarding.appliance.wait_until(lambda status: status["daemon"]["running"], "answering")
    done = forwarding.appliance.apply(forwarding.config([RouteLine(BLUE_GROUP, ["red"])]))
    assert done.returncode == 0, done.stderr
    source = MediaSource(format="1080p50", seconds=0.2, group=BLUE_GROUP)
    sent, reports = forwarding.transmit(source, {"red": [BLUE_GROUP]})
    check_all_arrived(sent, reports, ["red"])
    assert forwarding.appliance.worker_pid() == worker


def test_kill_9_of_a_worker_is_repaired_by_the_daemon(forwarding: Studio) -> None:
    appliance = forwarding.appliance
    killed = appliance.worker_pid()
    os.kill(killed, signal.SIGKILL)

    def is_replaced(document: dict[str, object]) -> bool:
        workers = document["workers"]
        assert isinstance(workers, list)
        return all(w["running"] and w["pid"] != killed and w["generation"] and w["restarts"] for w in workers)

    document = appliance.wait_until(is_replaced, "running a new worker")
    assert document["workers"][0]["restarts"] == 1
    sent, reports = forwarding.transmit(VIDEO, EXPECTED)
    check_all_arrived(sent, reports, ["red"])


def test_without_daemon_and_worker_status_says_so(forwarding: Studio) -> None:
    worker = forwarding.appliance.worker_pid()
    forwarding.appliance.kill_daemon()
    os.kill(worker, signal.SIGKILL)
    answer = forwarding.appliance.status()
    assert answer.exit_code == 4
    (record,) = answer.document["workers"]
    assert record["alive"] is False
    assert any("main" in problem for problem in answer.document["problems"])
