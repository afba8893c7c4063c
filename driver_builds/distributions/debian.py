# SPDX-License-Identifier: Apache-2.0
"""Debian: which packages a kernel's modules are built from, and how they become a build folder.

Nothing is installed: package files are unpacked into the cache and made to work from there.
"""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import KernelPackages, KernelTree, Package, apt
from driver_builds.errors import DriverBuildError, StageError
from driver_builds.release import KernelRelease, parse_release, release_order


@dataclass(frozen=True, slots=True)
class Needs:
    """What the headers of a kernel depend on, by name; `kbuild_at_least` is Debian's own bound for it."""

    common: str
    kbuild: str
    kbuild_at_least: str | None
    source: str
    compiler: str


def read_releases() -> list[KernelRelease]:
    """The amd64 kernel releases apt on this host has headers for, newest last."""
    releases = []
    for name in apt.read_names("linux-headers-"):
        text = name.removeprefix("linux-headers-")
        # linux-headers-amd64 and the like are meta packages, and -common is no kernel.
        if text.endswith("amd64") and text.count(".") >= 2 and "-common" not in text:
            releases.append(parse_release(text))
    return sorted(releases, key=release_order)


def read_kernel_packages(release: KernelRelease) -> KernelPackages:
    """The packages of `release` from this host's apt; raises StageError when there is no exact set."""
    if release.featureset is not None:
        reason = (
            f"driver sources of the {release.featureset} flavour carry a patch set that linux-source lacks"
        )
        raise StageError("resolve", release.text, f"{reason}; build for the kernel without it")
    if not release.flavour.endswith("amd64"):
        reason = f"flavour {release.flavour} is not built here, only amd64 is"
        raise StageError("resolve", release.text, reason)
    name = f"linux-headers-{release.text}"
    headers = apt.read_stanzas([name])[name]
    if not headers:
        raise StageError("resolve", release.text, describe_missing(release, read_releases()))
    needs = parse_needs(release, headers[0])
    known = apt.read_stanzas([needs.common, needs.kbuild, needs.source])
    return choose_packages(release, headers[0], needs, known, _read_distribution())


def describe_missing(release: KernelRelease, known: Sequence[KernelRelease]) -> str:
    """Why `release` cannot be built, and which kernels of its flavour can."""
    reason = f"apt on this build host has no linux-headers-{release.text}; "
    same = [other.text for other in known if other.flavour == release.flavour and not other.featureset]
    if not same:
        reason += f"it has no {release.flavour} kernel at all; "
        return reason + "run apt-get update, or add the sources of the distribution's release"
    return reason + f"it has {', '.join(same)}; choose one of them, or run apt-get update"


def parse_needs(release: KernelRelease, headers: apt.Stanza) -> Needs:
    """What the headers' stanza says they depend on."""
    common, _ = _find_dependency(release, headers, r"linux-headers-\S*-common")
    kbuild, at_least = _find_dependency(release, headers, r"linux-kbuild-\S+")
    compiler, _ = _find_dependency(release, headers, r"(?:linux-compiler-)?gcc-[0-9]+(?:-x86)?")
    return Needs(
        common=common,
        kbuild=kbuild,
        kbuild_at_least=at_least,
        source=f"linux-source-{release.series}",
        compiler=re.sub(r"^linux-compiler-|-x86$", "", compiler),
    )


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
        for stanza in known[name]:
            if stanza["Version"] == version:
                return apt.build_package(stanza)
        bound = needs.kbuild_at_least if name == needs.kbuild else None
        for stanza in known[name] if bound else ():
            if is_at_least(stanza["Version"], str(bound)):
                return apt.build_package(stanza)
        versions = ", ".join(stanza["Version"] for stanza in known[name])
        seen = f"apt has {versions}" if versions else "apt does not know that package"
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
    )


def _read_distribution() -> str:
    lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return f"{fields.get('ID', 'unknown')} {fields.get('VERSION_ID', '')}".replace('"', "").strip()


def unpack_kernel(packages: KernelPackages, files: Sequence[Path], target: Path) -> KernelTree:
    """The kernel's build folder from its package files, unpacked once at `target`, usable from there."""
    root = store.fill_once(target, lambda folder: _unpack_packages(files, folder, target))
    return KernelTree(root, root / "usr/src" / f"linux-headers-{packages.release.text}")


def _unpack_packages(files: Sequence[Path], folder: Path, final: Path) -> None:
    for path in files:
        done = process.run(["dpkg-deb", "-x", str(path), str(folder)])
        if done.status != 0:
            raise DriverBuildError(f"{path.name}: dpkg-deb cannot unpack it: {done.output.strip()}")
    repoint(folder, final)


def repoint(folder: Path, final: Path) -> None:
    """Makes absolute paths below `folder` lead into `final`, where it will be, and not into the host's /usr."""
    for makefile in folder.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text("utf-8")
        makefile.write_text(re.sub(r"(?m)^(include\s+)(/usr/)", rf"\g<1>{final}\2", text), "utf-8")
    for path in folder.rglob("*"):
        if path.is_symlink() and (target := str(path.readlink())).startswith("/"):
            path.unlink()
            path.symlink_to(f"{final}{target}")


def unpack_sources(packages: KernelPackages, file: Path, members: Sequence[str], target: Path) -> Path:
    """The kernel source's Makefile and `members` (files or directories), unpacked once at `target`."""
    return store.fill_once(target, lambda folder: _unpack_members(packages.source, file, members, folder))


def _unpack_members(package: Package, file: Path, members: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".package-") as scratch:
        _unpack_packages([file], Path(scratch), Path(scratch))
        command = [
            "tar",
            "--extract",
            # All cores: the archive has 1.3 GB and independent blocks.
            "--use-compress-program=xz -T0",
            f"--file={scratch}/usr/src/{package.name}.tar.xz",
            "--no-same-owner",
            f"--directory={folder}",
            "--strip-components=1",
            "--",
            *(f"{package.name}/{member}" for member in ("Makefile", *members)),
        ]
        done = process.run(command)
    if done.status != 0:
        lines = done.output.splitlines()[-10:]
        raise StageError("unpack", package.name, "tar could not unpack what is built from", lines)
