# SPDX-License-Identifier: Apache-2.0
"""Where archives are: as this host's own apt has it, or as DRIVER_BUILDS_MIRROR (--mirror) says; never from data."""

import os
import re
from dataclasses import dataclass

from driver_builds import process
from driver_builds.distributions import Package
from driver_builds.errors import StageError, UsageError

VARIABLE = "DRIVER_BUILDS_MIRROR"

_URL = re.compile(r"(?:https?|ftp)://[^\s,/]+(?:/[^\s,]*)?|(?:file|copy):/[^\s,]*")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The addresses (no slash at the end) of a Debian archive and of its security archive."""

    main: str
    security: str

    def get_address(self, suite: str) -> str:
        """The address of the archive that has `suite`."""
        return self.security if suite.endswith("-security") else self.main

    def get_url(self, package: Package) -> str:
        """The address of a package's file."""
        return f"{self.security if is_security(package) else self.main}/{package.path}"


def is_security(package: Package) -> bool:
    """Whether the security archive has the package; its pool has a folder of its own."""
    return package.suite.endswith("-security") or package.path.startswith("pool/updates/")


def parse_mirror(text: str) -> Mirrors:
    """What DRIVER_BUILDS_MIRROR says: the archive's address, and after a comma the security archive's.

    Without the second it is the first with -security: .../debian and .../debian-security, as mirrors have it.
    Raises UsageError.
    """
    addresses = [part.strip().rstrip("/") for part in text.split(",")]
    if len(addresses) > 2 or not all(_URL.fullmatch(address) for address in addresses):
        raise UsageError(
            f"mirror {text!r}: not an address; write URL or URL,SECURITY_URL, like https://mirror.example/debian"
        )
    return Mirrors(addresses[0], addresses[1] if len(addresses) == 2 else f"{addresses[0]}-security")


def parse_index_targets(text: str) -> Mirrors | None:
    """The Debian archives in the output of `apt-get indextargets`; None when there is none in it.

    Any release's will do: a mirror has them all. The first of each kind is taken.
    """
    main = security = None
    for stanza in text.split("\n\n"):
        field = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        address = field.get("Repo-URI", "").rstrip("/")
        if field.get("Origin") not in {"Debian", "Debian Backports"} or not _URL.fullmatch(address):
            continue
        if field.get("Codename", "").endswith("-security"):
            security = security or address
        else:
            main = main or address
    if main is None:
        return None
    return Mirrors(main, security or f"{main}-security")


def read_mirrors() -> Mirrors:
    """The archives packages come from; raises StageError when this host knows none."""
    if override := os.environ.get(VARIABLE, ""):
        return parse_mirror(override)
    found = None
    if process.find_program("apt-get"):
        done = process.run(["apt-get", "indextargets"], environment=process.fetch_environment())
        found = parse_index_targets(done.output)
    if found is None:
        raise StageError(
            "fetch",
            "mirror",
            f"apt on this host knows no Debian archive; give one with --mirror URL or {VARIABLE}",
        )
    return found


def describe_url(package: Package) -> str:
    """The address of a package's file for a message: where no mirror is known, <mirror> stands for it."""
    try:
        return read_mirrors().get_url(package)
    except (StageError, UsageError):
        kind = "<security mirror>" if is_security(package) else "<mirror>"
        return f"{kind}/{package.path}"
