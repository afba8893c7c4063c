# SPDX-License-Identifier: Apache-2.0
"""The apt of the build host: what its signed index knows, and package files fetched and checked against it."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import Package
from driver_builds.errors import RefusedAsUnsafe, StageError
from driver_builds.tree_hash import hash_file

Stanza = Mapping[str, str]

_FIELD = re.compile(r"([A-Za-z0-9-]+):[ \t]*(.*)")


def parse_stanzas(text: str) -> list[dict[str, str]]:
    """Package stanzas (deb822): field to value, continuation lines joined by newlines.

    What is not a stanza with a Package field, such as an error message, is left out.
    """
    stanzas: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text):
        stanza: dict[str, str] = {}
        field = ""
        for line in block.splitlines():
            if line[:1] in {" ", "\t"} and field:
                stanza[field] += "\n" + line.strip()
            elif match := _FIELD.fullmatch(line):
                field = match[1]
                stanza[field] = match[2].strip()
        if "Package" in stanza:
            stanzas.append(stanza)
    return stanzas


def read_stanzas(names: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """For each of `names` all versions that apt on this host knows, newest first; [] when it knows none."""
    done = process.run(["apt-cache", "show", "--", *names], environment=process.fetch_environment())
    found: dict[str, list[dict[str, str]]] = {name: [] for name in names}
    for stanza in parse_stanzas(done.output):
        found.get(stanza["Package"], []).append(stanza)
    return found


def read_names(prefix: str) -> list[str]:
    """The names of all packages apt on this host knows that begin with `prefix`."""
    done = process.run(["apt-cache", "pkgnames", prefix], environment=process.fetch_environment())
    return done.output.split()


def is_at_least(version: str, wanted: str) -> bool:
    """Whether a Debian version is `wanted` or newer, by dpkg's rules."""
    return process.run(["dpkg", "--compare-versions", version, "ge", wanted]).status == 0


def build_package(stanza: Stanza) -> Package:
    """The package a stanza describes."""
    return Package(
        name=stanza["Package"],
        version=stanza["Version"],
        architecture=stanza["Architecture"],
        sha256=stanza["SHA256"],
        size_bytes=int(stanza["Size"]),
    )


def fetch_package(package: Package, cache: Path) -> Path:
    """The package's file in `cache`/packages, fetched by apt when it is not there, checked byte by byte.

    Raises RefusedAsUnsafe when its SHA-256 is not the one of apt's index.
    """
    path = cache / "packages" / package.file_name
    with store.locked(path):
        if not path.exists():
            with store.scratch_beside(path) as folder:
                _download(package, folder).rename(path)
        check_package(package, path)
    return path


def check_package(package: Package, path: Path) -> None:
    """Raises RefusedAsUnsafe when the file's bytes are not the package's."""
    digest = hash_file(path)
    if digest != package.sha256:
        raise RefusedAsUnsafe(
            f"{path}: SHA-256 is {digest}, apt's index says {package.sha256} for {package.name} "
            f"{package.version}; the file was changed: delete it to have it fetched again"
        )


def _download(package: Package, folder: Path) -> Path:
    # As root apt fetches as user _apt, who may not write here; the bytes are checked all the same.
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    done = process.run(
        ["apt-get", *sandbox, "download", "-q", f"{package.name}={package.version}"],
        cwd=folder,
        environment=process.fetch_environment(),
    )
    files = list(folder.glob("*.deb"))
    if done.status != 0 or len(files) != 1:
        lines = [line for line in done.output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
        reason = f"apt-get could not download version {package.version}; run apt-get update, then try again"
        raise StageError("fetch", package.name, reason, lines[-10:])
    return files[0]
