# SPDX-License-Identifier: Apache-2.0
"""In which order a driver's patch is tried: netmap's own pick, our rule, else it is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from driver_builds.adapt.catalogue import Rule
from driver_builds.catalogue import Driver
from driver_builds.errors import StageError
from driver_builds.patches import select_patch
from driver_builds.vendors import VendorRelease, select_vendor_patch

PatchStage = Literal["upstream", "adapted"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to patch a driver: `name` is the patch's or the rule's."""

    stage: PatchStage
    name: str


def plan_attempts(
    driver: Driver,
    patch_names: Iterable[str],
    version: tuple[int, int, int],
    rules: Mapping[str, Rule],
    release: VendorRelease | None = None,
) -> tuple[Attempt, ...]:
    """The attempts for one driver, first choice first; raises StageError when there is none.

    A driver whose patch fits and does harm has `adapted_first` in `data/drivers.toml`. With a vendor's `release` there
    is one attempt: the patch cut for it; our rules know the kernel's own sources only.
    """
    if release is not None:
        return (Attempt("upstream", select_vendor_patch(patch_names, release)),)
    if driver.method != "in-tree":
        raise StageError("patch", driver.name, driver.why)
    rule = rules.get(driver.name)
    adapted = () if rule is None else (Attempt("adapted", rule.name),)
    if adapted and driver.adapted_first:
        return adapted
    try:
        upstream = Attempt("upstream", select_patch(patch_names, driver.family, version))
    except StageError:
        if not adapted:
            raise
        return adapted
    return upstream, *adapted


def render_attempts(attempts: Iterable[Attempt]) -> str:
    """ "vanilla--veth.c--41400--60700, else adapted by veth-hooks" """
    names = [item.name if item.stage == "upstream" else f"adapted by {item.name}" for item in attempts]
    return ", else ".join(names)
