# SPDX-License-Identifier: Apache-2.0
"""Debian: which packages a kernel's modules are built from."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from driver_builds.distributions import KernelPackages, Package, apt, archives
from driver_builds.distributions.releases import Distribution
from driver_builds.errors import StageError, UsageError
from driver_builds.release import KernelRelease, parse_release, release_order


@dataclass(frozen=True, slots=True)
class Needs:
    """What the headers of a kernel depend on, by name; `kbuild_at_least` is Debian's own bound for it."""

    common: str
    kbuild: str
    kbuild_at_least: str | None
    source: str
    compiler: str
    rt_patches: str | None = None


def find_releases(stanzas: Sequence[apt.Stanza]) -> list[KernelRelease]:
    """The amd64 kernel releases an index has headers for, each once, newest last."""
    releases = set()
    for stanza in stanzas:
        text = stanza["Package"].removeprefix("linux-headers-")
        # linux-headers-amd64 and linux-headers-6.1-amd64 are meta packages, and -common is no kernel.
        if text == stanza["Package"] or not text.endswith("amd64") or "-common" in text:
            continue
        try:
            releases.add(parse_release(text))
        except UsageError:
            continue
    return sorted(releases, key=release_order)


def find_kernel_packages(
    release: KernelRelease, distribution: Distribution, stanzas: Sequence[dict[str, str]]
) -> KernelPackages | None:
    """The packages of `release` in an index; None when it has no headers, StageError when no exact set."""
    if not release.flavour.endswith("amd64"):
        reason = f"flavour {release.flavour} is not built here, only amd64 is"
        raise StageError("resolve", release.text, reason)
    by_name: dict[str, list[dict[str, str]]] = {}
    for stanza in stanzas:
        by_name.setdefault(stanza["Package"], []).append(stanza)
    headers = by_name.get(f"linux-headers-{release.text}", [])
    if not headers:
        return None
    newest = archives.sort_versions(headers)[0]
    needs = parse_needs(release, newest)
    known = {
        name: archives.sort_versions(by_name.get(name, []))
        for name in (needs.common, needs.kbuild, needs.source, needs.rt_patches, *name_images(release))
        if name
    }
    return choose_packages(release, newest, needs, known, distribution.name)


def describe_missing(release: KernelRelease, known: Sequence[KernelRelease], where: str) -> str:
    """Why `release` cannot be built, and which kernels of its flavour `where` has."""
    reason = f"{where} has no linux-headers-{release.text}; "
    flavour = (release.flavour, release.featureset)
    same = [other.text for other in known if (other.flavour, other.featureset) == flavour]
    if not same:
        return reason + f"it has no {release.flavour} kernel at all"
    return (
        reason
        + f"it has {', '.join(same)}; choose one of them, or fetch the index anew: `driver-builds fetch --refresh`"
    )


def parse_needs(release: KernelRelease, headers: apt.Stanza) -> Needs:
    """What the headers' stanza says they depend on."""
    common, _ = _find_dependency(release, headers, r"linux-headers-\S*-common(?:-rt)?")
    kbuild, at_least = _find_dependency(release, headers, r"linux-kbuild-\S+")
    compiler, _ = _find_dependency(
        release, headers, r"(?:linux-compiler-)?gcc-[0-9]+(?:-x86|-for-host|-x86-64-linux-gnu)?"
    )
    return Needs(
        common=common,
        kbuild=kbuild,
        kbuild_at_least=at_least,
        source=f"linux-source-{release.series}",
        compiler=re.sub(r"^linux-compiler-|-(?:x86|for-host|x86-64-linux-gnu)$", "", compiler),
        # Debian gives kernels built with the RT patch set headers of their own; newer rt kernels need no patch.
        rt_patches=headers.get("Source", "linux").split()[0] if common.endswith("-common-rt") else None,
    )


def name_images(release: KernelRelease) -> tuple[str, ...]:
    """Names a kernel's bootable packages can have: one until 6.x, cut in four parts since 7.x."""
    return tuple(f"linux-{part}-{release.text}" for part in ("image", "binary", "modules", "base"))


def _find_dependency(release: KernelRelease, headers: apt.Stanza, pattern: str) -> tuple[str, str | None]:
    """Name of the dependency that matches, and V when it says `(>= V)`."""
    depends = headers.get("Depends", "")
    for alternative in re.split(r"[,|]", depends):
        match = re.fullmatch(rf"\s*({pattern})(?:\s*\((\S+)\s+(\S+)\))?\s*", alternative)
        if match:
            return match[1], match[3] if match[2] == ">=" else None
    reason = f"linux-headers-{release.text} depends on no package like {pattern}, but on: {depends}"
    raise StageError("resolve", release.text, reason)


def choose_packages(
    release: KernelRelease,
    headers: apt.Stanza,
    needs: Needs,
    known: Mapping[str, Sequence[apt.Stanza]],
    distribution: str,
    is_at_least: Callable[[str, str], bool] = apt.is_at_least,
) -> KernelPackages:
    """The exact set for `release`: every package at the version of the headers, no nearest one.

    Only linux-kbuild may be newer where Debian's own dependency allows that: the archive keeps one per
    series, and it builds for all kernels of the series.
    """
    version = headers["Version"]

    def choose(name: str) -> Package:
        for stanza in known.get(name, ()):
            if stanza["Version"] == version:
                return apt.build_package(stanza)
        bound = needs.kbuild_at_least if name == needs.kbuild else None
        for stanza in known.get(name, ()) if bound else ():
            if is_at_least(stanza["Version"], str(bound)):
                return apt.build_package(stanza)
        versions = ", ".join(stanza["Version"] for stanza in known.get(name, ()))
        seen = f"the archive has {versions}" if versions else "the archive does not have that package"
        reason = f"{name} of version {version} is needed, the version of the headers; {seen}"
        raise StageError("resolve", release.text, f"{reason}; no other version is taken instead")

    return KernelPackages(
        release=release,
        distribution=distribution,
        compiler=needs.compiler,
        headers=apt.build_package(headers),
        common=choose(needs.common),
        kbuild=choose(needs.kbuild),
        source=choose(needs.source),
        images=tuple(
            apt.build_package(stanza)
            for name in name_images(release)
            for stanza in known.get(name, ())
            if stanza["Version"] == version
        ),
        rt_patches=choose(needs.rt_patches) if needs.rt_patches else None,
    )
