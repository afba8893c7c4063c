# SPDX-License-Identifier: Apache-2.0
"""A protected flow through the life of daemons: configured, shown, kept by the next one, seen without any."""

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Appliance

pytestmark = pytest.mark.slow

PROTECTED = """\
  - name: camera-2
    protect:
      a: {port: red-in, group: 239.1.3.1, udp_port: 6000}
      b: {port: blue-out, group: 239.1.4.1, udp_port: 6000}
      class: A
      format: 1080p50
    observe: {pacing: {format: 1080p50, sender: N}}
    outputs: [{port: red-out, group: 239.1.5.1}]
"""
PATHS = ["camera-2 path A", "camera-2 path B"]


def read_flow(document: dict[str, Any]) -> dict[str, Any]:
    """The protected flow, with the name of the routes that are observed; not what time alone makes of a silent one."""
    (flow,) = document["protected"]
    observed = [route["name"] for route in document["routes"] if route["pacing"] is not None]
    found: dict[str, Any] = flow | {"observed": observed}
    del found["silent_paths"]
    return found


def test_a_protected_flow_is_kept(appliance: "Appliance", texts: dict[str, str]) -> None:
    appliance.config.write_text(texts["base"] + PROTECTED)
    appliance.start()
    appliance.wait_until(lambda: appliance.status()[1]["protected"] != [], "told")
    exit_code, document = appliance.status()
    assert (exit_code, document["problems"]) == (0, [])
    flow = read_flow(document)
    assert (flow["name"], flow["worker"]) == ("camera-2", "main")
    assert flow["observed"] == PATHS
    assert flow["since_ns"] < time.monotonic_ns()

    other = texts["routes"] + PROTECTED
    done = appliance.apply(other)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "2"), done.stderr
    assert read_flow(appliance.status()[1]) == flow
    appliance.end(signal.SIGKILL)
    asked = appliance.call("status", "--json")
    assert (asked.returncode, read_flow(json.loads(asked.stdout))) == (4, flow)
    assert read_flow(appliance.start()) == flow

    # Without `protect:` nothing of it is left; with it again it is another merge.
    assert appliance.apply(texts["routes"]).returncode == 0
    document = appliance.status()[1]
    assert (document["protected"], [route["name"] for route in document["routes"]]) == ([], ["camera-1"])
    assert appliance.apply(other).returncode == 0
    appliance.wait_until(lambda: appliance.status()[1]["protected"] != [], "told")
    assert read_flow(appliance.status()[1])["since_ns"] > flow["since_ns"]


def test_plan_changes_nothing(running: "Appliance", texts: dict[str, str]) -> None:
    running.config.write_text(texts["base"] + PROTECTED)
    before = running.status()[1]["generation"]
    planned = running.call("plan", str(running.config))
    assert "add route camera-2: A red-in 239.1.3.1:6000, B blue-out 239.1.4.1:6000 (class A" in planned.stdout
    assert (planned.returncode, running.status()[1]["generation"]) == (0, before)
