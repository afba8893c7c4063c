# SPDX-License-Identifier: Apache-2.0
"""In which order a driver's patch is tried."""

import pytest

from driver_builds.adapt.catalogue import load_rules
from driver_builds.attempts import Attempt, plan_attempts, render_attempts
from driver_builds.catalogue import load_drivers
from driver_builds.errors import StageError

NAMES = ["vanilla--veth.c--41400--60700", "vanilla--virtio_net.c--50b00--60500", "vanilla--igb--50c00--99999"]
SIX_ONE = (6, 1, 192)


def test_upstream_first() -> None:
    attempts = plan_attempts(load_drivers()["veth"], NAMES, SIX_ONE, load_rules())
    assert attempts == (Attempt("upstream", NAMES[0]), Attempt("adapted", "veth-hooks"))
    assert render_attempts(attempts) == "vanilla--veth.c--41400--60700, else adapted by veth-hooks"


def test_a_patch_that_does_harm_is_not_tried() -> None:
    driver = load_drivers()["virtio_net"]
    assert driver.adapted_first
    assert plan_attempts(driver, NAMES, SIX_ONE, load_rules()) == (Attempt("adapted", "virtio-net-hooks"),)
    without = plan_attempts(driver, NAMES, SIX_ONE, {})
    assert without == (Attempt("upstream", NAMES[1]),), "another netmap tree may bring a patch that is right"


def test_a_kernel_netmap_has_no_patch_for() -> None:
    veth, igb = load_drivers()["veth"], load_drivers()["igb"]
    assert plan_attempts(veth, NAMES, (7, 3, 0), load_rules()) == (Attempt("adapted", "veth-hooks"),)
    assert plan_attempts(igb, NAMES, SIX_ONE, load_rules()) == (Attempt("upstream", NAMES[2]),)
    with pytest.raises(StageError, match=r"netmap has no patch for kernel 5\.4\.0"):
        plan_attempts(igb, NAMES, (5, 4, 0), load_rules())
