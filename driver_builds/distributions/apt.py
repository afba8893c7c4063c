# SPDX-License-Identifier: Apache-2.0
"""What apt's index says of packages, and package files fetched and checked against it."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import Package, mirrors
from driver_builds.distributions.releases import get_family
from driver_builds.errors import RefusedAsUnsafe, StageError
from driver_builds.tree_hash import hash_file

Stanza = Mapping[str, str]

# It resumes what was begun, follows the host's own proxies, and takes only bytes of the SHA-256 it is given.
APT_HELPER = "/usr/lib/apt/apt-helper"

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
        path=stanza.get("Filename", ""),
        suite=stanza.get("Suite", ""),
    )


def get_package_path(package: Package, cache: Path) -> Path:
    """Where the package's file is kept, and where a person may put it."""
    return cache / "packages" / package.file_name


def get_partial_path(package: Package, cache: Path) -> Path:
    """Where as much of the package is as has been fetched so far; the next try goes on from there."""
    return cache / "packages" / ".partial" / package.file_name


def fetch_package(package: Package, cache: Path) -> Path:
    """The package's file in `cache`/packages, fetched when it is not there, checked byte by byte.

    Raises RefusedAsUnsafe when its SHA-256 is not the one of the archive's signed index.
    """
    path = get_package_path(package, cache)
    with store.locked(path):
        if not path.exists():
            partial = get_partial_path(package, cache)
            partial.parent.mkdir(parents=True, exist_ok=True)
            _download(package, partial, path)
            check_package(package, partial)
            partial.rename(path)
        check_package(package, path)
    return path


def check_package(package: Package, path: Path) -> None:
    """Raises RefusedAsUnsafe when the file's bytes are not the package's."""
    size = path.stat().st_size
    if size != package.size_bytes:
        raise RefusedAsUnsafe(
            f"{path}: has {size} bytes, the archive's index says {package.size_bytes} for {package.name} "
            f"{package.version}; the file is cut or another one: delete it to have it fetched again"
        )
    digest = hash_file(path)
    if digest != package.sha256:
        raise RefusedAsUnsafe(
            f"{path}: SHA-256 is {digest}, the archive's index says {package.sha256} for {package.name} "
            f"{package.version}; the file was changed: delete it to have it fetched again"
        )


def describe_by_hand(package: Package, path: Path) -> str:
    """What a person needs to bring the file without this host's network: address, hash and place."""
    url = mirrors.describe_url(package)
    return f"fetch {url} elsewhere (SHA-256 {package.sha256}), put it at {path}, and run this again"


def _download(package: Package, partial: Path, path: Path) -> None:
    # apt would only link to a file: address; copy: takes the same path.
    url = re.sub(r"^file:", "copy:", mirrors.describe_url(package))
    if url.startswith("<"):
        mirrors.read_mirrors(get_family(package.suite))
    if partial.exists() and partial.stat().st_size >= package.size_bytes:
        partial.unlink()  # whole, and yet it was not accepted
    # As root apt fetches as user _apt, who may not write here; the bytes are checked all the same.
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    done = process.run(
        [APT_HELPER, *sandbox, "-q", "download-file", url, str(partial), f"SHA256:{package.sha256}"],
        environment=process.fetch_environment(),
    )
    if done.status != 0:
        lines = [line for line in done.output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
        if "Hash Sum mismatch" in done.output:
            partial.unlink(missing_ok=True)
        raise StageError("fetch", package.name, _explain(package, path, partial), lines[-10:])


def _explain(package: Package, path: Path, partial: Path) -> str:
    free = shutil.disk_usage(partial.parent).free
    if free < package.size_bytes:
        mib = 1 << 20
        return (
            f"{package.size_bytes // mib} MiB are needed in {path.parent}, {free // mib} MiB are free there"
        )
    return f"could not be fetched; {describe_by_hand(package, path)}"
