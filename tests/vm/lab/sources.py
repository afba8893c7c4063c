# SPDX-License-Identifier: Apache-2.0
"""Where the guest's packages come from: the build host's own apt sources, as far as they are Debian 12's.

apt itself says what its sources are (`apt-get indextargets`), so every format it reads is read here too, and
each one's Release file says whether it is Debian's: other vendors' lists never reach the guest.
"""

from __future__ import annotations

import os
import re
import subprocess

from lab.errors import LabError

RELEASE = "bookworm"
_SUITES = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security")
# Only what decides how to reach a mirror; the rest of the host's apt configuration is the host's own.
_TRANSPORT_SETTING = re.compile(
    r"^Acquire::(http|https|ftp|Retries|Check-Valid-Until|Check-Date|ForceIPv4)\b"
)


def parse_index_targets(text: str) -> list[str]:
    """One-line source entries for the bookworm suites in the output of `apt-get indextargets`, each once.

    Kept: stanzas with Origin Debian, a bookworm codename, and packages (not sources). Order as in `text`.
    """
    entries: dict[str, None] = {}
    for stanza in text.split("\n\n"):
        field = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        wanted = field.get("Created-By") == "Packages" and field.get("Origin") == "Debian"
        if not wanted or field.get("Codename") not in _SUITES:
            continue
        options = f"[signed-by={field['Signed-By']}] " if field.get("Signed-By", "").startswith("/") else ""
        entries[f"deb {options}{field['Repo-URI']} {field['Release']} {field['Component']}"] = None
    return list(entries)


def parse_transport_settings(text: str) -> list[str]:
    """Lines of `apt-config dump` that say how to reach mirrors (proxies, checks of dates, retries)."""
    return [line for line in text.splitlines() if _TRANSPORT_SETTING.match(line)]


def read_sources() -> list[str]:
    """Source entries for the guest, read from this machine's apt."""
    entries = parse_index_targets(_read("apt-get", "indextargets"))
    if not any(f" {RELEASE} main" in entry for entry in entries):
        raise LabError(
            f"apt on this machine knows no Debian {RELEASE} main: seen {len(entries)} usable entries; "
            f"run `apt-get update`, or add Debian {RELEASE} to its sources"
        )
    return entries


def read_transport_settings() -> list[str]:
    """This machine's own apt settings for reaching mirrors."""
    return parse_transport_settings(_read("apt-config", "dump"))


def knows_package(name: str) -> bool:
    """Whether this machine's apt has a version of the package to offer."""
    return "Version:" in _read("apt-cache", "--no-all-versions", "show", name, may_fail=True)


def _read(*command: str, may_fail: bool = False) -> str:
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False
    )
    if result.returncode and not may_fail:
        raise LabError(f"{' '.join(command)} failed: {result.stderr.strip()}")
    return result.stdout
