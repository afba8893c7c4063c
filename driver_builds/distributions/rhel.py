# SPDX-License-Identifier: Apache-2.0
"""RHEL 9: the names of the packages a kernel's modules would be built from, and a refusal that says them.

Its packages come with a subscription and could not be reached to build from when this was written, so nothing is
built: only release strings and package names are known, and tested.
"""

from collections.abc import Sequence

from driver_builds.distributions.releases import Distribution
from driver_builds.errors import StageError
from driver_builds.release import KernelRelease


def check_family(release: KernelRelease, distributions: Sequence[Distribution]) -> None:
    """Raises StageError when only RHEL can have this kernel; says which packages its modules need."""
    if any(distribution.family != "rhel" for distribution in distributions):
        return
    names = " and ".join(name_packages(release))
    raise StageError(
        "resolve",
        release.text,
        f"modules for {distributions[0].name} are not built by this version: they need {names}, which Red Hat gives to "
        "subscribers only; build them on a host of that release with netmap's own configure",
    )


def name_packages(release: KernelRelease) -> tuple[str, str]:
    """The files: the build folder's, and the source's (without the machine; one for all flavours)."""
    flavour = "kernel-rt-devel" if release.featureset == "rt" else "kernel-devel"
    return f"{flavour}-{release.base}.{release.flavour}.rpm", f"kernel-{release.base}.src.rpm"
