# SPDX-License-Identifier: Apache-2.0
"""Ubuntu: which packages a kernel's modules are built from, generic and hwe alike.

Names and choice are tested on the forms Ubuntu's packages have; no archive of Ubuntu's could be reached to build from
when this was written. It is given by DRIVER_BUILDS_UBUNTU_MIRROR, or is the apt's of an Ubuntu build host.
"""

import re
from collections.abc import Sequence

from driver_builds.distributions import KernelPackages, Package, apt, archives
from driver_builds.distributions.releases import Distribution
from driver_builds.errors import StageError
from driver_builds.release import KernelRelease


def find_kernel_packages(
    release: KernelRelease, distribution: Distribution, stanzas: Sequence[dict[str, str]]
) -> KernelPackages | None:
    """The packages of `release` in an index; None when it has no headers, StageError when no exact set.

    The compiler is not among the dependencies: the kernel's configuration names it.
    """
    by_name: dict[str, list[dict[str, str]]] = {}
    for stanza in stanzas:
        by_name.setdefault(stanza["Package"], []).append(stanza)
    found = by_name.get(f"linux-headers-{release.text}", [])
    if not found:
        return None
    headers = archives.sort_versions(found)[0]
    common = parse_common(release, headers)

    def choose(name: str) -> Package:
        for stanza in by_name.get(name, ()):
            if stanza["Version"] == headers["Version"]:
                return apt.build_package(stanza)
        seen = ", ".join(stanza["Version"] for stanza in by_name.get(name, ())) or "none"
        reason = f"{name} of version {headers['Version']} is needed, the archive has {seen}"
        raise StageError("resolve", release.text, f"{reason}; no other version is taken instead")

    names = (f"linux-{part}-{release.text}" for part in ("image", "modules", "modules-extra"))
    return KernelPackages(
        release=release,
        distribution=distribution.name,
        compiler="",
        headers=apt.build_package(headers),
        common=choose(common),
        kbuild=None,
        source=choose(name_source(release, common)),
        images=tuple(choose(name) for name in names if name in by_name),
    )


def parse_common(release: KernelRelease, headers: apt.Stanza) -> str:
    """linux-headers-5.15.0-119, or linux-hwe-6.8-headers-6.8.0-49: what all flavours share."""
    pattern = rf"linux-(?:hwe-[0-9.]+-)?headers-{re.escape(release.base)}"
    for dependency in re.split(r"[,|]", headers.get("Depends", "")):
        name = dependency.split("(")[0].strip()
        if re.fullmatch(pattern, name):
            return name
    reason = (
        f"linux-headers-{release.text} depends on no package like {pattern}: {headers.get('Depends', '')}"
    )
    raise StageError("resolve", release.text, reason)


def name_source(release: KernelRelease, common: str) -> str:
    """linux-source-5.15.0, or linux-hwe-6.8-source-6.8.0 where the headers are of a hwe kernel."""
    prefix = common.partition("headers-")[0]
    return f"{prefix}source-{'.'.join(map(str, release.version))}"
