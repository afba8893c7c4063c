# SPDX-License-Identifier: Apache-2.0
"""Whether an artifacts directory is what its manifest says."""

from pathlib import Path

from driver_builds.errors import ArtifactError, ModuleFileError
from driver_builds.manifest import DEBUG_FOLDER, DEBUG_SUFFIX, Manifest, Module, load_manifest
from driver_builds.modinfo import load_module_info
from driver_builds.signature import Certificate, is_signed_by, split_module
from driver_builds.tree_hash import hash_file


def find_artifact_problems(folder: Path) -> list[str]:
    """One line for each thing that is wrong with the directory; [] when it is whole. Raises nothing."""
    try:
        manifest = load_manifest(folder)
    except ArtifactError as error:
        return [str(error)]
    problems = [
        problem for module in manifest.modules for problem in _find_module_problems(folder, manifest, module)
    ]
    listed = {module.file for module in manifest.modules}
    for file in sorted(folder.glob("*.ko*")):
        if file.name not in listed:
            problems.append(
                f"{file}: is not in the manifest; remove it, or build this kernel's drivers again"
            )
    return problems


def _find_module_problems(folder: Path, manifest: Manifest, module: Module) -> list[str]:
    file = folder / module.file
    if not file.is_file():
        return [f"{file}: missing, the manifest lists it; build this kernel's drivers again"]
    digest = hash_file(file)
    if digest != module.sha256:
        return [
            f"{file}: SHA-256 is {digest}, the manifest says {module.sha256}; "
            "build this kernel's drivers again"
        ]
    try:
        info = load_module_info(file)
    except ModuleFileError as error:
        return [str(error)]
    if problem := _find_signature_problem(file, module):
        return [problem]
    debug = folder / DEBUG_FOLDER / f"{module.file}{DEBUG_SUFFIX}"
    if module.debug_sha256 and (not debug.is_file() or hash_file(debug) != module.debug_sha256):
        return [f"{debug}: is not the file the manifest lists; build this kernel's drivers again"]
    seen = (info.name, info.vermagic, list(info.depends))
    wanted = (module.name, module.vermagic, module.depends)
    if seen != wanted:
        return [f"{file}: name, vermagic and depends are {seen}, the manifest says {wanted}"]
    if info.release != manifest.kernel.release:
        return [f"{file}: is for kernel {info.release}, the manifest is for {manifest.kernel.release}"]
    return []


def _find_signature_problem(file: Path, module: Module) -> str | None:
    try:
        signed = split_module(file.read_bytes()).cms is not None
    except ArtifactError as error:
        return f"{file}: {error}"
    if signed != (module.signature is not None):
        seen, wanted = ("a", "none") if signed else ("no", "one")
        return f"{file}: carries {seen} signature, the manifest says {wanted}; sign or build again"
    return None


def find_signature_problems(folder: Path, certificate: Certificate) -> list[str]:
    """One line for each module that the key of `certificate` did not sign; raises ArtifactError without a manifest."""
    problems = []
    for module in load_manifest(folder).modules:
        file = folder / module.file
        if not file.is_file() or not is_signed_by(split_module(file.read_bytes()), certificate):
            problems.append(
                f"{file}: not signed by {certificate.signer}; run driver-builds sign with its key"
            )
    return problems
