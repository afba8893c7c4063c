# SPDX-License-Identifier: Apache-2.0
"""`netmap-modules-<release>`: the modules of one kernel, their manifest and bill of materials, as a package.

They go to /lib/modules/<release>/updates/netmap: depmod prefers `updates` to the kernel's own folder, so the stock
drivers stay where they are. That name is right on Debian 11 to 13 alike: where /usr is merged, /lib leads into
/usr/lib; where it is not (Debian 11 allows that), /lib/modules is the only one modprobe reads.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from driver_builds.catalogue import NetmapPin
from driver_builds.errors import ArtifactError, UsageError
from driver_builds.manifest import (
    DEBUG_FOLDER,
    DEBUG_SUFFIX,
    FILE_NAME,
    Manifest,
    Module,
    load_manifest,
    render_manifest,
)
from driver_builds.modinfo import load_module_info, parse_sections
from driver_builds.packages import sbom
from driver_builds.packages.deb import Deb, Entry
from driver_builds.packages.templates import render_template
from driver_builds.plan import NETMAP
from driver_builds.signature import split_module
from driver_builds.verify import find_artifact_problems

MAINTAINER = "studio-bypass operators <root@localhost>"
FOLDER = "updates/netmap"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The part of an artifacts directory that goes into one package."""

    folder: Path
    manifest: Manifest


def choose_modules(folder: Path, drivers: Sequence[str]) -> Chosen:
    """netmap and `drivers` ([] takes all) of an artifacts directory that is whole; raises ArtifactError."""
    problems = find_artifact_problems(folder)
    if problems:
        raise ArtifactError("\n".join(problems))
    manifest = load_manifest(folder)
    known = [module.name for module in manifest.modules]
    for name in drivers:
        if name not in known:
            refused = {entry.name: f"{entry.stage}: {entry.reason}" for entry in manifest.refused}
            why = refused.get(name, f"it holds {', '.join(known)}")
            raise UsageError(f"{folder}: has no driver {name}: {why}; build it for {manifest.kernel.release}")
    modules = [module for module in manifest.modules if not drivers or module.name in {NETMAP, *drivers}]
    return Chosen(folder, manifest.model_copy(update={"modules": modules}))


def build_package(chosen: Chosen, pin: NetmapPin, revision: int = 1) -> Deb:
    """The package of `chosen`."""
    manifest = chosen.manifest
    release = manifest.kernel.release
    name = build_name(release)
    version = build_version(manifest, pin, revision)
    licences = {
        module.name: load_module_info(chosen.folder / module.file).license for module in manifest.modules
    }
    bill = sbom.render_sbom(manifest, name, version, licences)
    target = f"lib/modules/{release}/{FOLDER}"
    entries = [Entry(f"{target}/{module.file}", _read(chosen, module)) for module in manifest.modules]
    entries.append(Entry(f"{target}/{FILE_NAME}", render_manifest(manifest).encode()))
    entries.append(Entry(f"{target}/{sbom.FILE_NAME}", bill.encode()))
    scripts = {
        script: render_script(script, name, release, [module.name for module in manifest.modules])
        for script in ("postinst", "postrm")
    }
    return Deb(name, version, "amd64", build_fields(manifest), entries, scripts)


def build_debug_package(chosen: Chosen, pin: NetmapPin, revision: int = 1) -> Deb | None:
    """The debug information of `chosen`, where debuggers look by build ID; None where none was kept.

    gdb, crash and SystemTap look in /usr/lib/debug/.build-id (GDB manual, "Separate Debug Files").
    """
    entries = []
    for module in chosen.manifest.modules:
        if module.debug_sha256 is None:
            return None
        build_id = load_build_id(chosen.folder / module.file)
        content = (chosen.folder / DEBUG_FOLDER / f"{module.file}{DEBUG_SUFFIX}").read_bytes()
        if hashlib.sha256(content).hexdigest() != module.debug_sha256:
            raise ArtifactError(f"{chosen.folder / module.file}: its debug file was changed; package again")
        entries.append(Entry(f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug", content))
    release = chosen.manifest.kernel.release
    version = build_version(chosen.manifest, pin, revision)
    fields = {
        "Maintainer": MAINTAINER,
        "Recommends": f"{build_name(release)} (= {version})",
        "Section": "debug",
        "Priority": "optional",
        "Description": f"debug information of netmap and its drivers for Linux {release}",
    }
    return Deb(f"{build_name(release)}-dbg", version, "amd64", fields, entries)


def load_build_id(path: Path) -> str:
    """The build ID of a module, hex: the note GNU of type 3 (System V gABI, note section)."""
    note = parse_sections(split_module(path.read_bytes()).module).get(".note.gnu.build-id", b"")
    if len(note) < 36 or note[12:16] != b"GNU\0":
        raise ArtifactError(f"{path}: has no build ID; its debug information could not be found by it")
    return note[16:36].hex()


def build_name(release: str) -> str:
    """The package's name: Debian allows neither capitals nor underscores in it (Policy 5.6.1)."""
    return f"netmap-modules-{release.lower().replace('_', '-')}"


def build_version(manifest: Manifest, pin: NetmapPin, revision: int) -> str:
    """What tells one build from another, oldest first: netmap, kernel, revision, patch stage, contents.

    "0~git20260210.89607e1+k6.1.192-2+r1.upstream.6f0c2a91". The last part is a hash of the modules, so that
    no two packages with other contents have one version.
    """
    kernel = manifest.kernel.version.split(":", 1)[-1]
    contents = "".join(f"{module.name} {module.sha256}\n" for module in manifest.modules)
    digest = hashlib.sha256(contents.encode()).hexdigest()[:8]
    netmap = describe_netmap(manifest.netmap.commit, manifest.netmap.sha256, pin)
    return f"0~{netmap}+k{kernel}+r{revision}.{get_stage(manifest)}.{digest}"


def describe_netmap(commit: str | None, sha256: str, pin: NetmapPin) -> str:
    """The part of a version that says which netmap it is: "git20260210.89607e1", or the hash of another tree."""
    if commit != pin.commit:
        return f"tree.{sha256[:7]}"
    return f"git{render_date(pin.committed_s)}.{pin.commit[:7]}"


def render_date(epoch_s: int) -> str:
    """YYYYMMDD, UTC."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y%m%d")


def get_stage(manifest: Manifest) -> str:
    """The patch stage furthest from upstream that any module needed."""
    stages = {str(module.patch.stage) for module in manifest.modules if module.patch}
    others = sorted(stages - {"upstream"})
    return others[0] if others else "upstream"


def build_fields(manifest: Manifest) -> dict[str, str]:
    """The control fields that say what the package is and what it needs."""
    release = manifest.kernel.release
    drivers = [module.name for module in manifest.modules if module.name != NETMAP]
    stages = ", ".join(
        f"{module.name} {module.patch.stage}" for module in manifest.modules if module.patch is not None
    )
    # The release is what the kernel compares when it loads a module; each has one package, signed or not.
    unsigned = (
        "linux-image-unsigned-" if manifest.kernel.distribution.startswith("ubuntu") else "linux-image-"
    )
    suffix = "" if unsigned.startswith("linux-image-unsigned") else "-unsigned"
    description = [
        f"netmap and netmap-patched NIC drivers for Linux {release}",
        f" Drivers: {', '.join(drivers) or 'none'}.",
        f" Patch stages: {stages or 'none'}.",
        f" netmap commit: {manifest.netmap.commit or 'unknown'}.",
        " .",
        " The stock drivers stay where they are; modprobe prefers these. Installing loads nothing.",
    ]
    return {
        "Maintainer": MAINTAINER,
        "Depends": f"linux-image-{release} | {unsigned}{release}{suffix}, kmod",
        "Conflicts": "netmap-dkms",
        "Provides": "netmap-modules",
        "Section": "kernel",
        "Priority": "optional",
        "Description": "\n".join(description),
    }


def render_script(script: str, package: str, release: str, names: Sequence[str]) -> str:
    """The maintainer script `script` ("postinst" or "postrm")."""
    pattern = "|".join(re.escape(name) for name in names)
    return render_template(
        f"modules.{script}", package=package, release=release, names=list(names), pattern=pattern
    )


def _read(chosen: Chosen, module: Module) -> bytes:
    content = (chosen.folder / module.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != module.sha256:
        raise ArtifactError(f"{chosen.folder / module.file}: was changed while it was read; package again")
    return content
