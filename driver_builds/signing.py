# SPDX-License-Identifier: Apache-2.0
"""Signing an artifacts directory with the operator's key, by the `sign-file` of the kernel it is for.

The key is named to sign-file and read by it alone: it is never read, copied, logged or put into a command here.
Its passphrase goes from the environment or a file descriptor into sign-file's environment.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process, store
from driver_builds.errors import ArtifactError, DriverBuildError, RefusedAsUnsafe, UsageError
from driver_builds.manifest import FILE_NAME, Manifest, Module, Signature, load_manifest, render_manifest
from driver_builds.signature import Certificate, is_signed_by, load_certificate, split_module
from driver_builds.tree_hash import hash_file
from driver_builds.verify import find_artifact_problems

PASSPHRASE = "DRIVER_BUILDS_KEY_PASSPHRASE"
HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`key` is a path or a pkcs11: URI, as sign-file takes it; `passphrase` None where it has none."""

    key: str
    certificate: Path
    hash_name: str = "sha256"
    passphrase: str | None = None

    def __repr__(self) -> str:
        return f"SigningKey({self.key!r}, {str(self.certificate)!r})"


def read_passphrase(descriptor: int | None) -> str | None:
    """The passphrase from a file descriptor (its first line), or else from the environment."""
    if descriptor is None:
        return os.environ.get(PASSPHRASE)
    try:
        with os.fdopen(descriptor, encoding="utf-8") as stream:
            return stream.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"passphrase: file descriptor {descriptor} cannot be read: {error}") from error


def check_key(key: SigningKey) -> None:
    """Raises where the key cannot be one, without reading it."""
    if key.hash_name not in HASHES:
        raise UsageError(f"hash {key.hash_name}: not one of {', '.join(HASHES)}")
    if key.key.startswith("pkcs11:"):
        return
    path = Path(key.key)
    if not path.is_file():
        raise UsageError(f"key {path}: no such file; give the private key's path or a pkcs11: URI")
    if path.stat().st_mode & 0o007:
        raise RefusedAsUnsafe(f"key {path}: everybody on this host may read it; chmod o-rwx {path}")


def sign_artifacts(folder: Path, key: SigningKey, cache: Path, waiting: Callable[[Path], None]) -> list[str]:
    """Signs what `key` has not signed yet; returns those modules' names. The directory changes whole or not at all."""
    check_key(key)
    folder = folder.absolute()
    certificate = load_certificate(key.certificate)
    with store.locked(folder, waiting=waiting):
        problems = find_artifact_problems(folder)
        if problems:
            raise ArtifactError("\n".join(problems))
        manifest = load_manifest(folder)
        todo = [module for module in manifest.modules if not _is_done(folder, module, certificate, key)]
        if not todo:
            return []
        program = provide_sign_file(manifest, cache)
        with store.scratch_beside(folder) as scratch:
            shutil.copytree(folder, scratch, dirs_exist_ok=True)
            signed = {module.name: _sign(scratch, module, certificate, key, program) for module in todo}
            modules = [signed.get(module.name, module) for module in manifest.modules]
            text = render_manifest(manifest.model_copy(update={"modules": modules}))
            (scratch / FILE_NAME).write_text(text, "utf-8")
            store.replace_directory(scratch, folder)
    return [module.name for module in todo]


def _is_done(folder: Path, module: Module, certificate: Certificate, key: SigningKey) -> bool:
    record = module.signature
    if record is None or (record.certificate_sha256, record.hash) != (certificate.sha256, key.hash_name):
        return False
    return is_signed_by(split_module((folder / module.file).read_bytes()), certificate)


def _sign(folder: Path, module: Module, certificate: Certificate, key: SigningKey, program: Path) -> Module:
    file = folder / module.file
    unsigned = split_module(file.read_bytes()).module
    file.write_bytes(unsigned)
    more = {} if key.passphrase is None else {"KBUILD_SIGN_PIN": key.passphrase}
    done = process.run(
        [str(program), key.hash_name, key.key, str(key.certificate), str(file)],
        environment=process.build_environment(**more),
    )
    if done.status != 0:
        said = " ".join(line.strip() for line in done.output.splitlines()[-3:])
        raise DriverBuildError(
            f"sign {module.file}: {program.name} failed: {said}; look whether key, passphrase "
            f"(in {PASSPHRASE} or --passphrase-fd) and certificate belong together"
        )
    if not is_signed_by(split_module(file.read_bytes()), certificate):
        raise RefusedAsUnsafe(
            f"sign {module.file}: the signature is not one of {key.certificate}; give the certificate of this key"
        )
    record = Signature(
        signer=certificate.signer,
        hash=key.hash_name,
        certificate_sha256=certificate.sha256,
        unsigned_sha256=hashlib.sha256(unsigned).hexdigest(),
    )
    return module.model_copy(update={"sha256": hash_file(file), "signature": record})


def provide_sign_file(manifest: Manifest, cache: Path) -> Path:
    """`sign-file` of the kernel's own linux-kbuild, from the package in the cache the modules were built with."""
    kbuild = next((entry for entry in manifest.inputs if entry.name.startswith("linux-kbuild-")), None)
    if kbuild is None:
        raise ArtifactError(
            f"sign {manifest.kernel.release}: the manifest names no linux-kbuild package; build again"
        )
    name = f"{kbuild.name}_{kbuild.version.replace(':', '%3a')}_amd64.deb"
    package = cache.absolute() / "packages" / name
    if not package.is_file():
        raise DriverBuildError(
            f"sign {manifest.kernel.release}: {package} is missing: sign-file of this kernel is in it; "
            "build there, or put that package there"
        )
    if hash_file(package) != kbuild.sha256:
        raise RefusedAsUnsafe(f"{package}: SHA-256 is not {kbuild.sha256}; delete it and build again")
    folder = store.fill_once(
        cache.absolute() / "sign-file" / kbuild.sha256[:16], lambda target: _unpack(package, target)
    )
    found = sorted(folder.glob("usr/lib/linux-kbuild-*/scripts/sign-file"))
    if not found:
        raise ArtifactError(f"{package}: holds no scripts/sign-file")
    return found[0]


def _unpack(package: Path, target: Path) -> None:
    done = process.run(["dpkg-deb", "-x", str(package), str(target)])
    if done.status != 0:
        raise DriverBuildError(f"{package.name}: dpkg-deb cannot unpack it: {done.output.strip()}")
