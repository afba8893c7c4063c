# SPDX-License-Identifier: Apache-2.0
"""Module signatures: what the kernel's `sign-file` appends to a module, read and checked.

A signed module is the module, a CMS message (RFC 5652) in DER without certificates, `struct module_signature` of
the kernel, and a magic string (Documentation/admin-guide/module-signing.rst).
"""

import base64
import hashlib
import re
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process
from driver_builds.errors import ArtifactError, UsageError

_MAGIC = b"~Module signature appended~\n"
_TRAILER = struct.Struct(
    ">BBBBB3xI"
)  # algorithm, hash, id_type, signer and key id lengths, length of the CMS
_PKEY_ID_PKCS7 = 2
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.*?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SplitModule:
    """A module's own bytes, and the CMS message that signs them; None where there is none."""

    module: bytes
    cms: bytes | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate: `signer` is its subject's common name, `sha256` its fingerprint over `der`."""

    signer: str
    sha256: str
    der: bytes


def split_module(data: bytes) -> SplitModule:
    """The module and its signature; raises ArtifactError where a signature begins and is not whole."""
    if not data.endswith(_MAGIC):
        return SplitModule(data, None)
    end = len(data) - len(_MAGIC) - _TRAILER.size
    if end < 0:
        raise ArtifactError("its signature is cut off")
    _, _, kind, _, _, length = _TRAILER.unpack_from(data, end)
    if kind != _PKEY_ID_PKCS7 or not 0 < length <= end:
        raise ArtifactError(
            f"its signature is of kind {kind} and {length} bytes; wanted a CMS message, kind 2"
        )
    return SplitModule(data[: end - length], data[end - length : end])


def load_certificate(path: Path) -> Certificate:
    """A certificate in PEM or DER; raises UsageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"certificate {path}: cannot be read: {error}") from error
    match = _PEM.search(data)
    der = base64.b64decode(match[1]) if match else data
    with tempfile.NamedTemporaryFile(suffix=".der") as file:
        file.write(der)
        file.flush()
        command = ["openssl", "x509", "-inform", "DER", "-in", file.name, "-noout", "-subject"]
        done = process.run([*command, "-nameopt", "multiline,utf8,-esc_msb"])
    if done.status != 0:
        raise UsageError(f"certificate {path}: neither PEM nor DER of an X.509 certificate")
    name = re.search(r"(?m)^\s*commonName\s*=\s*(.+)$", done.output)
    return Certificate(name[1].strip() if name else "", hashlib.sha256(der).hexdigest(), der)


def is_signed_by(split: SplitModule, certificate: Certificate) -> bool:
    """Whether the certificate's key made the signature, for these very bytes; by openssl."""
    if split.cms is None:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pem = base64.encodebytes(certificate.der)
        (folder / "cert").write_bytes(b"-----BEGIN CERTIFICATE-----\n" + pem + b"-----END CERTIFICATE-----\n")
        (folder / "cms").write_bytes(split.cms)
        (folder / "module").write_bytes(split.module)
        # Who signed is the question here, not whether somebody vouches for the certificate: that is the MOK list.
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-noverify", "-in", "cms"]
        command += ["-content", "module", "-certfile", "cert", "-nointern", "-out", "out"]
        return process.run(command, cwd=folder).status == 0
