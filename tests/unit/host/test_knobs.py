# SPDX-License-Identifier: Apache-2.0
"""Interface settings: planned from facts, applied to a real veth in a namespace of its own, and given back."""

import json
import os
import subprocess
import sys

import pytest

from appliance.host.knobs import KnobChange, KnobFacts, find_stuck, plan_knobs, plan_restore

FACTS = KnobFacts(
    "ens4",
    flags={"up": False, "promiscuous": True},
    features={"rx-gro": True, "rx-lro": False, "tx-generic-segmentation": True},
    fixed=("rx-vlan-hw-parse", "tx-vlan-hw-insert"),
)


def test_plan_changes_only_what_is_not_as_needed() -> None:
    assert [str(change) for change in plan_knobs([FACTS])] == [
        "interface ens4: rx-gro off",
        "interface ens4: tx-generic-segmentation off",
        "interface ens4: up on",
    ]


def test_restore_undoes_in_reverse_order() -> None:
    applied = [
        KnobChange(interface="ens4", name="rx-gro", wanted=False),
        KnobChange(interface="ens4", name="up", wanted=True),
    ]
    assert [str(change) for change in plan_restore(applied)] == [
        "interface ens4: up off",
        "interface ens4: rx-gro on",
    ]


def test_what_stays_on_and_harms_is_told() -> None:
    assert find_stuck([FACTS]) == [
        "interface ens4: the driver keeps rx-vlan-hw-parse on: VLAN tags of received frames are lost"
    ]


SCRIPT = """
import json, subprocess, sys
from appliance.host.knobs import apply_knobs, plan_knobs, plan_restore, read_knobs
from appliance.host.ports import read_host

subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
before = read_knobs("v0", sys.argv[1] == "host rings")
changes = plan_knobs([before])
problems = apply_knobs(changes)
between = read_knobs("v0", sys.argv[1] == "host rings")
facts = read_host().interfaces["v0"]
apply_knobs(plan_restore(changes))
after = read_knobs("v0", sys.argv[1] == "host rings")
print(json.dumps({
    "changes": [change.name for change in changes],
    "problems": problems,
    "again": [str(change) for change in plan_knobs([between])],
    "restored": before == after,
    "facts": [facts.driver, facts.up, facts.promiscuous, facts.mtu_bytes],
}))
"""


def reason_not_available() -> str | None:
    if os.geteuid() != 0:
        return "needs root: run pytest as root to see interface settings changed for real"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no network namespaces here: {tried.stderr.strip()}"


@pytest.mark.kernel
@pytest.mark.parametrize("kind", ["alone", "host rings"])
def test_a_real_interface(kind: str) -> None:
    if reason := reason_not_available():
        pytest.skip(reason)
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-P", "-c", SCRIPT, kind],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert {"up", "promiscuous", "tx-generic-segmentation", "rx-vlan-hw-parse"} <= set(seen["changes"])
    assert ("tx-checksum-ip-generic" in seen["changes"]) is (kind == "host rings")
    assert (seen["problems"], seen["again"], seen["restored"]) == ([], [], True)
    assert seen["facts"] == ["veth", True, True, 1500]
