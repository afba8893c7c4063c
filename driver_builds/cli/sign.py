# SPDX-License-Identifier: Apache-2.0
"""`driver-builds sign`: module signatures for hosts with Secure Boot."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.signing import HASHES, PASSPHRASE, SigningKey, read_passphrase, sign_artifacts

Key = Annotated[
    str,
    typer.Option(
        "--key", metavar="FILE", help="Private key: a path or a pkcs11: URI. Only sign-file reads it."
    ),
]
CertificateFile = Annotated[
    Path,
    typer.Option(
        "--certificate", metavar="FILE", help="Its certificate, PEM or DER: the one in the MOK list."
    ),
]
Hash = Annotated[str, typer.Option("--hash", metavar="NAME", help=f"One of {', '.join(HASHES)}.")]
PassphraseDescriptor = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd", metavar="N", help=f"File descriptor to read it from; else ${PASSPHRASE}."
    ),
]


def sign(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An artifacts directory: artifacts/RELEASE.")],
    key: Key,
    certificate: CertificateFile,
    cache: options.Cache,
    hash_name: Hash = "sha256",
    passphrase_fd: PassphraseDescriptor = None,
    json: options.Json = False,
) -> None:
    """Sign the modules with your key, by the kernel's own sign-file; record it in the manifest.

    Prints `changed` with what was signed, or `unchanged`. Package after it, not before.
    """
    with console.errors_reported(json):
        secret = SigningKey(key, certificate, hash_name, read_passphrase(passphrase_fd))
        names = sign_artifacts(folder, secret, cache, console.print_waiting)
        if json:
            console.print_json({"changed": bool(names), "artifacts": str(folder), "signed": names})
        elif names:
            console.print_result(f"changed: {folder}: signed {', '.join(names)}")
        else:
            console.print_result(f"unchanged: {folder}")
