# SPDX-License-Identifier: Apache-2.0
"""Facts that stand in two places are the same in both."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from appliance.errors import ExitCode as ApplianceExitCode
from driver_builds.catalogue import (
    SUBSYSTEMS,
    Correction,
    load_corrections,
    load_drivers,
    load_netmap_pin,
    load_refused_drivers,
    select_drivers,
    select_subsystems,
)
from driver_builds.errors import ExitCode, UsageError
from driver_builds.patches import select_patch
from driver_builds.plan import NETMAP, BuildInputs, Observed, build_key, plan_build


def test_exit_codes_are_the_products() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        code.name: code.value for code in ApplianceExitCode
    }


def test_the_catalogue() -> None:
    drivers = load_drivers()
    assert {"e1000", "e1000e"} <= set(drivers)
    for driver in drivers.values():
        assert driver.config == f"CONFIG_{driver.name.upper()}"
        assert driver.source.rsplit("/", 1)[1] == driver.family
        assert (driver.method, bool(driver.why)) == ("in-tree", True)
    assert len({driver.source for driver in drivers.values()}) == len(drivers)
    wanted = (
        "e1000 e1000e igb igc ixgbe ixgbevf i40e ice vmxnet3 virtio_net veth r8169 forcedeth stmmac mlx5_core"
    )
    assert set(wanted.split()) == {*drivers, *load_refused_drivers()}


@pytest.mark.parametrize("name", ["r8169", "stmmac", "mlx5_core"])
def test_a_driver_that_cannot_be_built_says_why(inputs: BuildInputs, name: str) -> None:
    (driver,) = select_drivers([name])
    plan = plan_build(replace(inputs, drivers=(driver, *inputs.drivers)), Observed())
    (refusal,) = plan.refused
    assert (refusal.driver, refusal.stage, refusal.reason) == (name, "patch", driver.why)
    assert driver.method != "in-tree"
    assert driver.name not in load_drivers()


def test_the_corrections() -> None:
    corrections = load_corrections()
    assert len({correction.name for correction in corrections}) == len(corrections)
    assert {correction.driver for correction in corrections} <= {NETMAP, *load_drivers()}


def test_a_correction_of_netmap_ko_is_for_its_own_sources() -> None:
    own = next(correction for correction in load_corrections() if correction.driver == NETMAP)
    header = own.model_dump() | {"file": "sys/dev/netmap/netmap_kern.h"}
    with pytest.raises(ValidationError, match="drivers read it too"):
        Correction.model_validate(header)
    assert Correction.model_validate(header | {"driver": "e1000"}).file == header["file"]


def test_the_pin() -> None:
    pin = load_netmap_pin()
    assert pin.commit == "89607e1406c1fa5ac2106bd2ff33417f090c0d60"
    assert set(pin.subsystems) <= set(SUBSYSTEMS)


def test_a_family_name_is_matched_whole() -> None:
    names = [f"vanilla--{driver.family}--31200--99999" for driver in load_drivers().values()]
    for driver in load_drivers().values():
        assert select_patch(names, driver.family, (6, 1, 0)) == f"vanilla--{driver.family}--31200--99999"


def test_subsystems() -> None:
    usual = tuple(load_netmap_pin().subsystems)
    assert select_subsystems([], []) == select_subsystems(["vale"], ["extmem"]) == usual
    assert select_subsystems(["extmem"], ["vale"]) == (*(name for name in usual if name != "vale"), "extmem")
    with pytest.raises(UsageError, match="subsystem vael: not known here; netmap has vale, pipe"):
        select_subsystems(["vael"], [])
    with pytest.raises(UsageError, match="give --with or --without, not both"):
        select_subsystems(["sink"], ["sink"])


def test_subsystems_are_part_of_every_key_and_veth_needs_pipes(inputs: BuildInputs) -> None:
    without = replace(inputs, subsystems=("vale",), drivers=select_drivers(["veth", "e1000"]))
    assert build_key(without, "e1000") != build_key(inputs, "e1000")
    (refusal,) = plan_build(without, Observed()).refused
    assert (refusal.driver, refusal.reason) == (
        "veth",
        "it needs netmap's subsystem pipe, which was left out",
    )
