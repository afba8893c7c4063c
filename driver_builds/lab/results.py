# SPDX-License-Identifier: Apache-2.0
"""What tests found, kept by the bytes that were tested: the same module need not be tested twice."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from driver_builds import store
from driver_builds.lab.scenario import Verdict
from driver_builds.plan import NETMAP

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Raise it when the test itself changes: what an older one found is then no evidence any more.
TEST = 1


class Result(BaseModel):
    """What the test of one module came to; `lines` are the at most ten log lines that matter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: int
    release: str
    name: str
    sha256: Sha256
    netmap_sha256: Sha256
    evidence: Literal["moved", "loaded", "failed"]
    reason: str
    lines: list[str]
    adapter: str | None
    rings: str | None
    frames: int
    reloads: int
    remove_while_open: str | None
    guest: str


def build_result(release: str, name: str, hashes: tuple[str, str], verdict: Verdict, guest: str) -> Result:
    """The record of a verdict; `hashes` are the module's and netmap.ko's, `guest` is like "QEMU 7.2.22 tcg"."""
    return Result(
        test=TEST,
        release=release,
        name=name,
        sha256=hashes[0],
        netmap_sha256=hashes[1],
        evidence=verdict.evidence,
        reason=verdict.reason,
        lines=list(verdict.lines),
        adapter=verdict.adapter,
        rings=verdict.rings,
        frames=verdict.frames,
        reloads=verdict.reloads,
        remove_while_open=verdict.remove_while_open,
        guest=guest,
    )


def get_path(cache: Path, release: str, name: str, sha256: str, netmap_sha256: str) -> Path:
    """Where the result for these bytes is kept."""
    pair = sha256[:16] if name == NETMAP else f"{sha256[:16]}-{netmap_sha256[:16]}"
    return cache / "results" / release / f"{name}-{pair}.json"


def write_result(cache: Path, result: Result) -> Path:
    """Puts the result where `load_result` finds it, whole or not at all."""
    path = get_path(cache, result.release, result.name, result.sha256, result.netmap_sha256)
    store.write_file(path, result.model_dump_json(indent=2) + "\n")
    return path


def load_result(cache: Path, release: str, name: str, sha256: str, netmap_sha256: str) -> Result | None:
    """The result for these very bytes, or None when they were not tested (by this version of the test)."""
    path = get_path(cache, release, name, sha256, netmap_sha256)
    try:
        result = Result.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError):
        return None
    same = (result.test, result.sha256, result.netmap_sha256) == (TEST, sha256, netmap_sha256)
    return result if same else None
