# SPDX-License-Identifier: Apache-2.0
"""The modules one kernel would load for netmap: there, preferred to the stock ones, whole, signed where needed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from driver_builds.errors import ArtifactError, ModuleFileError
from driver_builds.manifest import FILE_NAME, Manifest, load_manifest
from driver_builds.modinfo import load_module_info
from driver_builds.plan import NETMAP
from driver_builds.signature import split_module
from driver_builds.tree_hash import hash_file

# The last byte is 1 while the firmware enforces signatures (UEFI specification, 3.3: SecureBoot).
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with `subject`, a module or a kernel, and what to do."""

    subject: str
    message: str


def find_signature_reason(root: Path, release: str) -> str | None:
    """Why the next kernel will refuse unsigned modules, or None when it will take them."""
    variable = root / _SECURE_BOOT
    if variable.is_file() and variable.read_bytes()[-1:] == b"\x01":
        return "Secure Boot is on"
    config = root / "boot" / f"config-{release}"
    if config.is_file() and re.search(
        r"(?m)^CONFIG_MODULE_SIG_FORCE=y$", config.read_text("utf-8", "replace")
    ):
        return "the kernel was built to take signed modules only"
    line = root / "proc/cmdline"
    if line.is_file() and re.search(r"\b(module\.sig_enforce|lockdown=)", line.read_text("utf-8", "replace")):
        return "the kernel's command line asks for signatures"
    return None


def find_problems(root: Path, release: str, drivers: Sequence[str]) -> list[Problem]:
    """What the kernel `release` lacks of netmap and `drivers`; [] when all is there."""
    folder = root / "lib/modules" / release
    if not folder.is_dir():
        return [Problem(release, f"/lib/modules/{release} is missing: install linux-image-{release}")]
    index = read_index(folder)
    reason = find_signature_reason(root, release)
    problems = []
    for name in (NETMAP, *drivers):
        message = _find_problem(folder, release, name, index.get(name), reason)
        if message is not None:
            problems.append(Problem(name, message))
    return problems


def read_index(folder: Path) -> dict[str, str]:
    """Module name to the file modprobe takes, relative to `folder`: `modules.dep` as depmod wrote it."""
    path = folder / "modules.dep"
    if not path.is_file():
        return {}
    files = [line.split(":", 1)[0] for line in path.read_text("utf-8", "replace").splitlines() if ":" in line]
    return {PurePosixPath(file).name.split(".", 1)[0].replace("-", "_"): file for file in files}


def _find_problem(
    folder: Path, release: str, name: str, indexed: str | None, signature_reason: str | None
) -> str | None:
    if indexed is None or not indexed.startswith("updates/"):
        return _describe_missing(folder, release, name, indexed)
    file = folder / indexed
    try:
        info = load_module_info(file)
        signed = split_module(file.read_bytes()).cms is not None
    except (ModuleFileError, ArtifactError, OSError) as error:
        return f"{error}; install netmap-modules-{release} again"
    if info.release != release:
        return f"{indexed} is for kernel {info.release}; install netmap-modules-{release}"
    if name != NETMAP and NETMAP not in info.depends:
        return f"{indexed} does not depend on netmap: it is unpatched; install netmap-modules-{release}"
    if signature_reason and not signed:
        return (
            f"{indexed} carries no signature and {signature_reason}; "
            "run driver-builds sign on the build host, package and install again"
        )
    return _find_manifest_problem(file, name, release)


def _describe_missing(folder: Path, release: str, name: str, indexed: str | None) -> str:
    there = sorted(folder.glob(f"updates/**/{name}.ko*"))
    if there:
        found = there[0].relative_to(folder)
        return f"modprobe would take {indexed or 'none'}, {found} is there too: run depmod {release}"
    seen = f"only the stock driver {indexed}" if indexed else "no module at all"
    return f"kernel {release} has {seen}: build for it and install netmap-modules-{release} (playbooks/drivers.yml)"


def _find_manifest_problem(file: Path, name: str, release: str) -> str | None:
    if not (file.parent / FILE_NAME).is_file():
        # DKMS puts modules into a folder of its own, without a manifest; there is nothing to compare then.
        return None if file.parent.name == "dkms" else f"{FILE_NAME} is missing beside {file.name}"
    try:
        manifest = load_manifest(file.parent)
    except ArtifactError as error:
        return str(error)
    return _compare(file, name, release, manifest)


def _compare(file: Path, name: str, release: str, manifest: Manifest) -> str | None:
    wanted = {module.name: module.sha256 for module in manifest.modules}.get(name)
    if manifest.kernel.release != release:
        return f"its manifest is for kernel {manifest.kernel.release}; install netmap-modules-{release} again"
    if wanted != hash_file(file):
        return f"{file.name} is not the file the manifest lists; install netmap-modules-{release} again"
    return None
