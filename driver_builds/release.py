# SPDX-License-Identifier: Apache-2.0
"""Kernel release strings (`uname -r`): text to value, and nothing else."""

import re
from dataclasses import dataclass

from driver_builds.errors import UsageError

# Debian's forms: 6.1.0-56-amd64, 6.1.0-56-cloud-amd64, 6.1.0-56-rt-amd64, 6.12.117+deb12-amd64,
# 6.12.9+bpo-amd64, 6.1.0-0.deb11.25-amd64. ASCII only: the text becomes a package name and a folder.
_RELEASE = re.compile(
    r"(?P<version>[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})"
    r"(?P<abi>(?:\+[a-z]+[0-9]*(?:u[0-9]+)?|-[0-9]+(?:\.[a-z]+[0-9]+\.[0-9]+)?)(?:\.[0-9]+)?)"
    r"(?:-(?P<featureset>rt))?"
    r"-(?P<flavour>(?:cloud-)?[a-z][a-z0-9]*)"
)
_LONGEST = 64  # struct new_utsname: __NEW_UTS_LEN


@dataclass(frozen=True, slots=True)
class KernelRelease:
    """One kernel release: `text` is what `uname -r` says, `version` its three numbers."""

    text: str
    version: tuple[int, int, int]
    flavour: str
    featureset: str | None

    @property
    def series(self) -> str:
        """The part package names carry: "6.1"."""
        return f"{self.version[0]}.{self.version[1]}"


def parse_release(text: str) -> KernelRelease:
    """The release `text` names; raises UsageError when it is not a Debian kernel release."""
    match = _RELEASE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise UsageError(
            f"kernel {text[: _LONGEST + 1]!r}: not a Debian kernel release; "
            "write it as `uname -r` prints it, like 6.1.0-56-amd64"
        )
    major, minor, patch = (int(number) for number in match["version"].split("."))
    return KernelRelease(text, (major, minor, patch), match["flavour"], match["featureset"])


def release_order(release: KernelRelease) -> tuple[tuple[int, ...], str]:
    """Sort key: oldest first, numbers as numbers."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", release.text)), release.text
