# SPDX-License-Identifier: Apache-2.0
"""Kernel release strings (`uname -r`): text to value, and nothing else."""

import re
from dataclasses import dataclass

from driver_builds.errors import UsageError

# ASCII only: the text becomes a package name and a folder.
# Debian: 6.1.0-56-amd64, 6.1.0-56-cloud-amd64, 6.1.0-56-rt-amd64, 6.12.117+deb12-amd64, 6.12.115+deb13.1-rt-amd64,
# 6.12.9+bpo-amd64, 6.1.0-0.deb11.25-amd64, 5.10.0-0.bpo.15-amd64. Ubuntu: 5.15.0-119-generic, 6.8.0-49-lowlatency.
_DEBIAN = re.compile(
    r"(?P<base>(?P<version>[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})"
    r"(?:\+[a-z]+[0-9]*(?:u[0-9]+)?(?:\.[0-9]+)?|-[0-9]+(?:\.[a-z]+[0-9]*\.[0-9]+)?(?:\.[0-9]+)?))"
    r"(?:-(?P<featureset>rt))?"
    r"-(?P<flavour>(?:cloud-)?[a-z][a-z0-9]*)"
)
# RHEL and its rebuilds: 5.14.0-427.13.1.el9_4.x86_64, 5.14.0-503.11.1.el9_5.x86_64+rt.
_RHEL = re.compile(
    r"(?P<base>(?P<version>[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})-[0-9]+(?:\.[0-9]+){0,3}\.el[0-9]+(?:_[0-9]+)?)"
    r"\.(?P<flavour>x86_64)(?:\+(?P<featureset>rt))?"
)
_LONGEST = 64  # struct new_utsname: __NEW_UTS_LEN


@dataclass(frozen=True, slots=True)
class KernelRelease:
    """One kernel release: `text` is what `uname -r` says, `version` its three numbers.

    `base` is the text without flavour and feature set: "6.1.0-56".
    """

    text: str
    version: tuple[int, int, int]
    flavour: str
    featureset: str | None
    base: str = ""

    @property
    def series(self) -> str:
        """The part package names carry: "6.1"."""
        return f"{self.version[0]}.{self.version[1]}"


def parse_release(text: str) -> KernelRelease:
    """The release `text` names; raises UsageError when no distribution known here writes it so."""
    match = _DEBIAN.fullmatch(text) or _RHEL.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise UsageError(
            f"kernel {text[: _LONGEST + 1]!r}: not a kernel release of Debian, Ubuntu or RHEL; "
            "write it as `uname -r` prints it, like 6.1.0-56-amd64"
        )
    major, minor, patch = (int(number) for number in match["version"].split("."))
    return KernelRelease(text, (major, minor, patch), match["flavour"], match["featureset"], match["base"])


def release_order(release: KernelRelease) -> tuple[tuple[int, ...], str]:
    """Sort key: oldest first, numbers as numbers."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", release.text)), release.text
