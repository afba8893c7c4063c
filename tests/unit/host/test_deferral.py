# SPDX-License-Identifier: Apache-2.0
"""What busy poll needs of an interface: planned, set on a real veth in a namespace of its own, and given back."""

import json
import os
import subprocess
import sys

import pytest

from appliance.host.deferral import Deferral, plan_deferral, plan_deferral_restore

WANTED = Deferral("ens4", 2, 200_000)


def test_plan_changes_only_what_differs() -> None:
    changes = plan_deferral(Deferral("ens4", 0, 200_000), WANTED)
    assert [str(change) for change in changes] == ["interface ens4: napi_defer_hard_irqs 2"]
    assert plan_deferral(WANTED, WANTED) == []
    assert str(plan_deferral_restore(changes[0])) == "interface ens4: napi_defer_hard_irqs 0"


SCRIPT = """
import json, subprocess, sys
from appliance.errors import HostError
from appliance.host.deferral import Deferral, apply_deferral, plan_deferral, plan_deferral_restore, read_deferral

subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
try:
    before = read_deferral("v0")
except HostError as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
wanted = Deferral("v0", 2, 200_000)
changes = plan_deferral(before, wanted)
apply_deferral(changes)
between = read_deferral("v0")
apply_deferral(map(plan_deferral_restore, changes))
try:
    read_deferral("nosuch0")
except HostError as error:
    missing = str(error)
print(json.dumps({"changes": len(changes), "set": between == wanted, "restored": read_deferral("v0") == before,
                  "missing": missing}))
"""


def run_apart(*mount: str) -> dict[str, object]:
    """Run SCRIPT in a new network namespace, with a /sys of its own where `mount` makes one."""
    if os.geteuid() != 0:
        pytest.skip("needs root: run pytest as root to see interface settings changed for real")
    command = " ".join((*mount, 'exec "$@"'))
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", command, "sh", sys.executable, "-P", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    seen: dict[str, object] = json.loads(done.stdout)
    return seen


@pytest.mark.kernel
def test_a_real_interface() -> None:
    seen = run_apart("mount -t sysfs sysfs /sys;")
    assert (seen["changes"], seen["set"], seen["restored"]) == (2, True, True)
    assert "nosuch0" in str(seen["missing"])


@pytest.mark.kernel
def test_another_namespaces_files_are_not_touched() -> None:
    assert "network namespace" in str(run_apart()["refused"])
