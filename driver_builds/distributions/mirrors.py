# SPDX-License-Identifier: Apache-2.0
"""Where archives are: as this host's own apt has it, or as DRIVER_BUILDS_MIRROR (--mirror) says; never from data."""

import os
import re
from dataclasses import dataclass

from driver_builds import process
from driver_builds.distributions import Package
from driver_builds.distributions.releases import get_family
from driver_builds.errors import StageError, UsageError

VARIABLE = "DRIVER_BUILDS_MIRROR"

# Family to (the variable that says its archive's address, its Origin in the Release files apt has).
FAMILIES = {
    "debian": (VARIABLE, ("Debian", "Debian Backports")),
    "ubuntu": ("DRIVER_BUILDS_UBUNTU_MIRROR", ("Ubuntu",)),
}

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


def parse_mirror(text: str, family: str = "debian") -> Mirrors:
    """What DRIVER_BUILDS_MIRROR says: the archive's address, and after a comma the security archive's.

    Without the second it is the first with -security: .../debian and .../debian-security, as mirrors have it;
    Ubuntu has one archive for both. Raises UsageError.
    """
    addresses = [part.strip().rstrip("/") for part in text.split(",")]
    if len(addresses) > 2 or not all(_URL.fullmatch(address) for address in addresses):
        raise UsageError(
            f"mirror {text!r}: not an address; write URL or URL,SECURITY_URL, like https://mirror.example/debian"
        )
    security = addresses[0] if family != "debian" else f"{addresses[0]}-security"
    return Mirrors(addresses[0], addresses[1] if len(addresses) == 2 else security)


def parse_index_targets(text: str, family: str = "debian") -> Mirrors | None:
    """The archives of a family in the output of `apt-get indextargets`; None when there is none in it.

    Any release's will do: a mirror has them all. The first of each kind is taken.
    """
    main = security = None
    for stanza in text.split("\n\n"):
        field = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        address = field.get("Repo-URI", "").rstrip("/")
        if field.get("Origin") not in FAMILIES[family][1] or not _URL.fullmatch(address):
            continue
        if field.get("Codename", "").endswith("-security"):
            security = security or address
        else:
            main = main or address
    if main is None:
        return None
    return Mirrors(main, security or (f"{main}-security" if family == "debian" else main))


def read_mirrors(family: str = "debian") -> Mirrors:
    """The archives packages come from; raises StageError when this host knows none."""
    variable = FAMILIES[family][0]
    if override := os.environ.get(variable, ""):
        return parse_mirror(override, family)
    found = None
    if process.find_program("apt-get"):
        done = process.run(["apt-get", "indextargets"], environment=process.fetch_environment())
        found = parse_index_targets(done.output, family)
    if found is None:
        option = "--mirror URL or " if variable == VARIABLE else ""
        raise StageError(
            "fetch",
            "mirror",
            f"apt on this host knows no archive of {family.title()}; give its address with {option}{variable}=URL",
        )
    return found


def describe_url(package: Package) -> str:
    """The address of a package's file for a message: where no mirror is known, <mirror> stands for it."""
    try:
        return read_mirrors(get_family(package.suite)).get_url(package)
    except (StageError, UsageError):
        kind = "<security mirror>" if is_security(package) else "<mirror>"
        return f"{kind}/{package.path}"
