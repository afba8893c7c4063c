# SPDX-License-Identifier: Apache-2.0
"""Kernels a distribution has dropped since: their packages as its index gave them when they were resolved.

A fleet runs kernels longer than the archive keeps them; what is in the cache stays buildable, by the same
hashes.
"""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from driver_builds.distributions import KernelPackages, Package, debian
from driver_builds.errors import StageError
from driver_builds.release import KernelRelease


def read_kernel_packages(release: KernelRelease, cache: Path) -> KernelPackages:
    """The packages of `release` from apt, or as remembered in `cache` when apt no longer has them all."""
    note = cache / "resolved" / f"{release.text}.json"
    try:
        packages = debian.read_kernel_packages(release)
    except StageError:
        packages_then = _load_note(release, note)
        if packages_then is None or not _are_cached(packages_then, cache):
            raise
        return packages_then
    text = json.dumps({**asdict(packages), "release": release.text}, indent=2)
    if not note.exists() or note.read_text("utf-8") != text:
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_suffix(".new")
        fresh.write_text(text, "utf-8")
        fresh.replace(note)
    return packages


def _load_note(release: KernelRelease, note: Path) -> KernelPackages | None:
    fields: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        fields = json.loads(note.read_text("utf-8"))
        names = ("headers", "common", "kbuild", "source")
        packages = {name: Package(**fields[name]) for name in names}
        return KernelPackages(release, fields["distribution"], fields["compiler"], **packages)
    return None


def _are_cached(packages: KernelPackages, cache: Path) -> bool:
    return all((cache / "packages" / package.file_name).is_file() for package in packages.all)
