# SPDX-License-Identifier: Apache-2.0
"""What a build host must have, and the apt line for what it lacks."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process
from driver_builds.catalogue import load_netmap_pin
from driver_builds.distributions import mirrors
from driver_builds.distributions.releases import load_distributions
from driver_builds.errors import DriverBuildError

# Program to the Debian package that brings it. Compilers are added per kernel.
TOOLS = {
    "apt-config": "apt",
    "apt-get": "apt",
    "awk": "mawk",
    "dpkg-deb": "dpkg",
    "find": "findutils",
    "git": "git",
    "ld": "binutils",
    "make": "make",
    "mmdebstrap": "mmdebstrap",
    "patch": "patch",
    "sed": "sed",
    "setpriv": "util-linux",
    "strip": "binutils",
    "tar": "tar",
    "unshare": "util-linux",
    "xz": "xz-utils",
}
_LIBELF = "usr/lib/x86_64-linux-gnu/libelf.so.1"  # what the kernel's objtool is linked with


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `package` is what to install when it is missing, None when apt cannot help."""

    name: str
    ok: bool
    detail: str
    package: str | None = None


def find_tools(
    compilers: Sequence[str], find: Callable[[str], str | None] = process.find_program
) -> list[Finding]:
    """A finding for every program a build runs."""
    wanted = TOOLS | {compiler: compiler for compiler in compilers} | {"cc": "gcc"}
    findings = []
    for name, package in sorted(wanted.items()):
        path = find(name)
        findings.append(Finding(name, path is not None, path or f"not found; package {package}", package))
    return findings


def read_findings(compilers: Sequence[str]) -> list[Finding]:
    """Everything a build on this host depends on but its arguments."""
    findings = find_tools(compilers)
    libelf = Path("/") / _LIBELF
    findings.append(Finding("libelf.so.1", libelf.exists(), str(libelf), "libelf1"))
    findings += read_archive_findings()
    source = os.environ.get("NETMAP_SOURCE", "")
    pin = load_netmap_pin()
    unset = f"not set; {pin.url} at commit {pin.commit[:12]}"
    findings.append(Finding("NETMAP_SOURCE", bool(source), source or unset))
    return findings


def read_archive_findings() -> list[Finding]:
    """Whether packages of every distribution release can be fetched and checked here."""
    findings = []
    try:
        findings.append(Finding("mirror", True, mirrors.read_mirrors().main))
    except DriverBuildError as error:
        findings.append(Finding("mirror", False, str(error)))
    for distribution in load_distributions():
        if distribution.family != "debian":
            continue  # only where its archive was given; `build` then says what is missing
        there = Path(distribution.keyring).is_file()
        findings.append(
            Finding(f"keyring {distribution.name}", there, distribution.keyring, distribution.keyring_package)
        )
    return findings


def render_apt_line(findings: Sequence[Finding]) -> str | None:
    """The command that installs what is missing, or None when nothing that apt has is."""
    packages = sorted({finding.package for finding in findings if not finding.ok and finding.package})
    return f"apt-get install --yes {' '.join(packages)}" if packages else None
