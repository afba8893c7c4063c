# SPDX-License-Identifier: Apache-2.0
"""The plan, word for word, and what changes its key."""

from dataclasses import replace

import pytest

from driver_builds.catalogue import load_corrections, load_drivers
from driver_builds.plan import BuildInputs, Observed, Stage, build_key, plan_build

COLD = """\
tools    host                          the compiler of this host
fetch    linux-headers-6.1.0-56-amd64  6.1.192-2, SHA-256 aaaaaaaaaaaaaaaa
fetch    linux-headers-6.1.0-56-common 6.1.192-2, SHA-256 bbbbbbbbbbbbbbbb
fetch    linux-kbuild-6.1              6.1.192-2, SHA-256 cccccccccccccccc
fetch    linux-source-6.1              6.1.192-2, SHA-256 dddddddddddddddd
unpack   linux-headers-6.1.0-56-amd64  with -common and kbuild; needs gcc-12 (Debian 12.2.0-14) 12.2.0
unpack   linux-source-6.1              the sources of 12 drivers
probe    netmap                        compile probes of the kernel's interfaces and of these drivers
build    netmap                        netmap.ko
inspect  netmap                        vermagic, depends, symbol versions
baseline e1000                         the unpatched driver compiles
patch    e1000                         vanilla--e1000--31200--99999
build    e1000                         e1000.ko
inspect  e1000                         vermagic, depends, symbol versions
baseline e1000e                        the unpatched driver compiles
patch    e1000e                        vanilla--e1000e--31200--99999
build    e1000e                        e1000e.ko
inspect  e1000e                        vermagic, depends, symbol versions
write    6.1.0-56-amd64                3 modules and manifest.json
"""


def _render(inputs: BuildInputs, observed: Observed) -> str:
    steps = plan_build(inputs, observed).steps
    return "".join(f"{step.stage:<8} {step.subject:<29} {step.detail}\n" for step in steps)


def test_cold(inputs: BuildInputs) -> None:
    assert _render(inputs, Observed()) == COLD


def test_what_was_built_before_is_reused(inputs: BuildInputs) -> None:
    cached = _render(inputs, Observed(frozenset({"netmap", "e1000"})))
    lines = cached.splitlines()
    assert lines[7:9] == [
        "reuse    netmap                        built from the same inputs before",
        "reuse    e1000                         built from the same inputs before",
    ]
    assert lines[:7] + lines[9:] == COLD.splitlines()[:7] + COLD.splitlines()[14:]


def test_a_cached_netmap_that_was_not_probed_for_a_driver_is_probed_again(inputs: BuildInputs) -> None:
    cached = frozenset({"netmap", "e1000"})
    known, unknown = frozenset({"e1000", "e1000e"}), frozenset({"e1000"})
    assert _render(inputs, Observed(cached, known)) == _render(inputs, Observed(cached))
    lines = _render(inputs, Observed(cached, unknown)).splitlines()
    again = "netmap's compile probes once more: the cached netmap.ko's did not look at e1000e"
    assert lines[7:9] == [
        "reuse    netmap                        built from the same inputs before",
        f"probe    netmap                        {again}",
    ]
    # A module that is there already asks nothing.
    all_cached = Observed(cached | {"e1000e"}, frozenset())
    assert not [step for step in plan_build(inputs, all_cached).steps if step.stage is Stage.PROBE]


def test_nothing_is_fetched_when_all_is_in_the_cache(inputs: BuildInputs) -> None:
    plan = plan_build(inputs, Observed(frozenset({"netmap", "e1000", "e1000e"})))
    assert [step.stage for step in plan.steps] == [Stage.REUSE] * 3 + [Stage.WRITE]


def test_nothing_is_done_when_the_artifacts_are_these(inputs: BuildInputs) -> None:
    plan = plan_build(inputs, Observed(artifacts_key=plan_build(inputs, Observed()).key))
    assert [step.stage for step in plan.steps] == [Stage.KEEP]
    assert not plan.changes


def test_artifacts_of_other_inputs_are_replaced(inputs: BuildInputs) -> None:
    assert plan_build(inputs, Observed(artifacts_key="0" * 64)).changes
    damaged = plan_build(inputs, Observed(artifacts_problem="e1000.ko: missing"))
    assert "e1000.ko: missing" in damaged.steps[-1].detail


def test_a_driver_without_a_patch_is_refused_before_anything_runs(inputs: BuildInputs) -> None:
    drivers = load_drivers()
    plan = plan_build(replace(inputs, drivers=(drivers["e1000"], drivers["igb"])), Observed())
    assert [(refusal.driver, refusal.stage) for refusal in plan.refused] == [("igb", "patch")]
    assert "netmap has no patch for kernel 6.1.192" in plan.refused[0].reason
    assert {step.subject for step in plan.steps if step.stage is Stage.BUILD} == {"netmap", "e1000"}
    assert plan.steps[-1].stage is Stage.WRITE


@pytest.mark.parametrize(
    "field", ["compiler", "netmap_sha256", "subsystems", "probed", "drivers", "packages"]
)
def test_every_input_changes_the_key(inputs: BuildInputs, field: str) -> None:
    packages = inputs.packages
    other = {
        "compiler": "gcc-12 (Debian 12.2.0-15) 12.2.0",
        "netmap_sha256": "0" * 64,
        "subsystems": ("vale",),
        "probed": inputs.probed[:-1],
        "drivers": inputs.drivers[:1],
        "packages": replace(packages, source=replace(packages.source, sha256="0" * 64)),
    }
    changed = replace(inputs, **{field: other[field]})
    assert plan_build(changed, Observed()).key != plan_build(inputs, Observed()).key


def test_a_modules_key_does_not_depend_on_its_company(inputs: BuildInputs) -> None:
    alone = replace(inputs, drivers=inputs.drivers[:1])
    assert build_key(alone, "e1000") == build_key(inputs, "e1000")
    assert build_key(inputs, "e1000") != build_key(inputs, "e1000e")


def test_a_correction_of_netmap_ko_leaves_the_drivers_keys(inputs: BuildInputs) -> None:
    own = tuple(correction for correction in load_corrections() if correction.driver == "netmap")
    assert own
    corrected = replace(inputs, corrections=own)
    assert build_key(corrected, "netmap") != build_key(inputs, "netmap")
    assert build_key(corrected, "e1000") == build_key(inputs, "e1000")
    assert plan_build(corrected, Observed()).key != plan_build(inputs, Observed()).key
    drivers_own = replace(inputs, corrections=load_corrections())
    assert build_key(drivers_own, "e1000") != build_key(inputs, "e1000")
