# SPDX-License-Identifier: Apache-2.0
"""The signed package index of each distribution release, by an apt state of our own in CACHE/apt/<release>.

Own sources, own lists, only the archive's own keyring; nothing of this host's apt is changed, and only how it
reaches mirrors (proxies, certificates) is taken over.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import apt, mirrors
from driver_builds.distributions.mirrors import Mirrors
from driver_builds.distributions.releases import Distribution
from driver_builds.errors import StageError

INDEX = "kernels.deb822"

# Only what decides how to reach a mirror; the rest of the host's apt configuration is the host's own.
_TRANSPORT = re.compile(r"Acquire::(?:http|https|ftp|Retries|Check-Valid-Until|Check-Date|ForceIPv[46])\b.*")
# Fields that say what a kernel's package is; the index of a whole suite is three hundred times as long.
_KEPT = ("Package", "Source", "Version", "Architecture", "Depends", "Filename", "Size", "SHA256")
_NAME = re.compile(
    r"linux-(?:hwe-[0-9.]+-)?(?:headers|kbuild|source|image|binary|modules|modules-extra|base)-[0-9].*"
)
_SOURCE_NAME = re.compile(r"linux(?:-[0-9.]+)?")


def parse_transport_settings(text: str) -> list[str]:
    """Lines of `apt-config dump` that say how to reach mirrors."""
    return [line for line in text.splitlines() if _TRANSPORT.fullmatch(line)]


def render_sources(
    distribution: Distribution,
    where: Mirrors,
    suites: Sequence[str] = (),
    kinds: Sequence[str] = ("deb", "deb-src"),
) -> str:
    """One-line source entries for `suites`, or for all of the release, signed by its keyring and no other."""
    options = f"[arch=amd64 signed-by={distribution.keyring}]"
    lines = [
        f"{kind} {options} {where.get_address(suite)} {suite} main"
        for suite in suites or distribution.suites
        for kind in kinds
    ]
    return "\n".join(lines) + "\n"


def render_configuration(folder: Path, transport: Sequence[str]) -> str:
    """apt's configuration (APT_CONFIG) for a state in `folder`: no file of the host's apt is read or written."""
    settings = {
        "Dir": folder,
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc": folder,
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Log": folder,
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "true",
    }
    lines = [f'{name} "{value}";' for name, value in settings.items()]
    return "\n".join([*lines, *transport]) + "\n"


def read_index(distribution: Distribution, cache: Path, *, refresh: bool = False) -> list[dict[str, str]]:
    """The stanzas of all kernel packages of a release, each with its Suite; fetched when missing or asked for."""
    folder = cache / "apt" / distribution.folder_name
    index = folder / INDEX
    with store.locked(folder):
        if refresh or not index.is_file():
            _update(distribution, folder)
    return apt.parse_stanzas(index.read_text("utf-8"))


def _update(distribution: Distribution, folder: Path) -> None:
    keyring = Path(distribution.keyring)
    if not keyring.is_file():
        reason = f"{keyring} is not there; apt-get install {distribution.keyring_package}"
        raise StageError("resolve", distribution.name, reason)
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    transport = parse_transport_settings(_run("apt-config", "dump").output)
    (folder / "sources.list").write_text(
        render_sources(distribution, mirrors.read_mirrors(distribution.family)), "utf-8"
    )
    (folder / "apt.conf").write_text(render_configuration(folder, transport), "utf-8")
    done = _run("apt-get", "-q", "update", folder=folder)
    if done.status != 0:
        lines = [line for line in done.output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
        reason = (
            f"its package index could not be fetched from {mirrors.read_mirrors(distribution.family).main}"
        )
        raise StageError("resolve", distribution.name, reason, lines[-10:])
    fresh = folder / f".{INDEX}.new"
    fresh.write_text(_read_kernels(folder), "utf-8")
    fresh.replace(folder / INDEX)


def _read_kernels(folder: Path) -> str:
    """The kernel packages of all lists apt has fetched, each stanza with the suite it comes from."""
    form = "$(CODENAME) $(CREATED_BY) $(FILENAME)"
    blocks = []
    for line in _run("apt-get", "indextargets", "--format", form, folder=folder).output.splitlines():
        suite, created_by, file = line.split(" ", 2)
        if created_by in {"Packages", "Sources"}:
            text = _run(apt.APT_HELPER, "cat-file", file, folder=folder).output
            found = parse_kernels(text) if created_by == "Packages" else parse_kernel_sources(text)
            blocks += [render_kernel(stanza, suite) for stanza in found]
    return "\n".join(blocks)


def parse_kernels(text: str) -> list[dict[str, str]]:
    """The stanzas of kernel packages in a suite's index."""
    blocks = (block for block in text.split("\n\n") if block.lstrip("\n").startswith("Package: linux-"))
    return [stanza for stanza in apt.parse_stanzas("\n\n".join(blocks)) if _NAME.fullmatch(stanza["Package"])]


def parse_kernel_sources(text: str) -> list[dict[str, str]]:
    """For each kernel source package in a suite's Sources a stanza about its tarball of Debian's own patches."""
    blocks = (block for block in text.split("\n\n") if block.lstrip("\n").startswith("Package: linux"))
    stanzas = []
    for stanza in apt.parse_stanzas("\n\n".join(blocks)):
        for line in stanza.get("Checksums-Sha256", "").splitlines():
            fields = line.split()
            if _SOURCE_NAME.fullmatch(stanza["Package"]) and len(fields) == 3 and "debian.tar" in fields[2]:
                more = {
                    "SHA256": fields[0],
                    "Size": fields[1],
                    "Filename": f"{stanza['Directory']}/{fields[2]}",
                }
                kept = {name: stanza[name] for name in ("Package", "Version")}
                stanzas.append({**kept, "Architecture": "source", **more})
    return stanzas


def render_kernel(stanza: apt.Stanza, suite: str) -> str:
    """A stanza of our own index."""
    lines = [f"{name}: {stanza[name]}" for name in _KEPT if name in stanza]
    return "\n".join([*lines, f"Suite: {suite}"]) + "\n"


def sort_versions(stanzas: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Newest first, by dpkg's rules."""

    def compare(one: dict[str, str], other: dict[str, str]) -> int:
        if one["Version"] == other["Version"]:
            return 0
        return -1 if apt.is_at_least(one["Version"], other["Version"]) else 1

    return sorted(stanzas, key=functools.cmp_to_key(compare))


def _run(*arguments: str, folder: Path | None = None) -> process.Finished:
    more = {} if folder is None else {"APT_CONFIG": str(folder / "apt.conf")}
    return process.run(arguments, environment=process.fetch_environment(**more))
