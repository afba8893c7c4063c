# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping: what a person at the terminal sees, and what is left behind."""

import signal
from pathlib import Path

import pytest
from media_tools import MediaSource
from studio import RED_GROUP, Studio, check_all_arrived

VIDEO = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP)


def test_sigterm_prints_a_final_account_that_balances(forwarding: Studio) -> None:
    sent, reports = forwarding.transmit(VIDEO, {"red": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red"])
    worker = forwarding.appliance.worker_pid()
    output = forwarding.appliance.stop()
    assert forwarding.appliance.exit_code == 0
    assert not Path(f"/proc/{worker}").exists()
    assert str(sent) in output.replace(",", "")
    assert "received" in output
    assert "forwarded" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_the_end_interfaces_are_as_before(studio: Studio, number: signal.Signals) -> None:
    links = studio.net.run(studio.middle, ["ip", "-d", "link"])
    assert "xdp" not in links
    studio.start()
    assert "xdp" in studio.net.run(studio.middle, ["ip", "-d", "link"])
    studio.appliance.stop(number=number)
    assert studio.appliance.exit_code in (0, 130)
    assert "xdp" not in studio.net.run(studio.middle, ["ip", "-d", "link"])
    assert studio.net.process_ids(studio.middle) == []


def test_a_second_daemon_is_refused(forwarding: Studio) -> None:
    done = forwarding.appliance.run("run", "--config", str(forwarding.appliance.config))
    assert done.returncode == 5
    assert "daemon" in done.stderr
    assert forwarding.appliance.status().exit_code == 0
    sent, reports = forwarding.transmit(VIDEO, {"red": [RED_GROUP]})
    check_all_arrived(sent, reports, ["red"])


def test_a_port_that_does_not_exist_is_named(studio: Studio) -> None:
    studio.devices["blue"] = "xdp:nosuch0"
    studio.appliance.config.write_text(studio.config())
    done = studio.appliance.run("run", "--config", str(studio.appliance.config))
    assert done.returncode not in (0, 3)
    assert "nosuch0" in done.stderr
    assert "blue" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert studio.net.process_ids(studio.middle) == []
    assert "xdp" not in studio.net.run(studio.middle, ["ip", "-d", "link"])


def test_status_without_any_daemon(studio: Studio) -> None:
    done = studio.appliance.run("status")
    assert done.returncode == 4
    assert "Traceback" not in done.stdout + done.stderr
