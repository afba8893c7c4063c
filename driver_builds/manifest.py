# SPDX-License-Identifier: Apache-2.0
"""`manifest.json`: what an artifacts directory holds and what it was made from.

It holds no time, host or path, so the same inputs give the same bytes.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from driver_builds.errors import ArtifactError

FILE_NAME = "manifest.json"
# Debug information of NAME.ko is debug/NAME.ko.debug.
DEBUG_FOLDER, DEBUG_SUFFIX = "debug", ".debug"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Kernel(_Record):
    """The kernel the modules are for. `version` is the one version of all its packages."""

    release: str
    distribution: str
    version: str
    headers_package: str
    source_package: str
    compiler: str


class Netmap(_Record):
    """The netmap tree; `sha256` is its tree hash, `pinned` says that it is the one this project pins.

    `url` is None for an accepted tree that came from a folder of the build host.
    """

    url: str | None
    commit: str | None
    sha256: Sha256
    pinned: bool


class Input(_Record):
    """One archive the modules were built from."""

    name: str
    version: str
    sha256: Sha256


class Hunk(_Record):
    """One hunk: `line` in the patched file; `offset` in lines, `fuzz` in context lines; 0 is an exact fit."""

    file: str
    hunk: int
    line: int
    offset: int
    fuzz: int


class InsertedHook(_Record):
    """One hook a rule of ours put in; `line` in the changed file."""

    name: str
    file: str
    line: int


class Patch(_Record):
    """What was done to the driver's source.

    `stage` upstream: netmap's patch `name`, with its `hunks`; adapted: our rule `name`, with its `hooks`, and
    `instead_of` says why netmap's patch was not used.
    """

    name: str
    sha256: Sha256
    stage: Literal["upstream", "adapted"]
    hunks: list[Hunk]
    hooks: list[InsertedHook] = []
    instead_of: str | None = None


class Signature(_Record):
    """Who signed a module: the certificate's common name and fingerprint, and the hash before signing."""

    signer: str
    hash: str
    certificate_sha256: Sha256
    unsigned_sha256: Sha256


class VendorSource(_Record):
    """The vendor's release a module was built from (method vendor) instead of the kernel's own source.

    `pinned` says that its bytes are those the operator's list of releases pins.
    """

    vendor: Name
    version: str
    url: str
    tree_sha256: Sha256
    archive_sha256: Sha256 | None
    pinned: bool


class Module(_Record):
    """One built module; `sha256` is that of the file, signature included, `debug_sha256` that of its debug file.

    `imports` counts the symbols whose versions were compared with the kernel's; `corrections` names the entries
    of `data/corrections.toml` it was built with.
    """

    name: Name
    file: Name
    sha256: Sha256
    vermagic: str
    srcversion: str | None
    depends: list[str]
    imports: int
    patch: Patch | None
    corrections: list[str]
    baseline: Literal["built"] | None
    signature: Signature | None = None
    debug_sha256: Sha256 | None = None
    vendor: VendorSource | None = None

    @property
    def method(self) -> Literal["in-tree", "vendor"]:
        return "in-tree" if self.vendor is None else "vendor"

    @model_serializer(mode="wrap")
    def _leave_out_vendor(self, render: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A manifest without vendors' releases has the very bytes it had before there were any.
        document: dict[str, Any] = render(self)
        if self.vendor is None:
            document.pop("vendor", None)
        return document


class Refused(_Record):
    """A driver that was asked for and is not there; `log` is relative to the manifest."""

    name: Name
    stage: str
    reason: str
    lines: list[str]
    log: str | None


class Manifest(_Record):
    """The whole document. `inputs_sha256` is the plan's key: equal keys give equal modules."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    inputs_sha256: Sha256
    kernel: Kernel
    netmap: Netmap
    inputs: list[Input]
    modules: list[Module]
    refused: list[Refused]


def render_manifest(manifest: Manifest) -> str:
    """The manifest as the text of `manifest.json`."""
    return manifest.model_dump_json(by_alias=True, indent=2) + "\n"


def load_manifest(folder: Path) -> Manifest:
    """The manifest of an artifacts directory; raises ArtifactError when there is none or it is damaged."""
    path = folder / FILE_NAME
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read: {error}; build this kernel's drivers first") from error
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ArtifactError(f"{path}: {where}: {first['msg']}; build this kernel's drivers again") from error
