# SPDX-License-Identifier: Apache-2.0
"""Wheels for the guest: the project's own, built from this checkout, and its dependencies, from a cache.

Dependencies are downloaded once for each content of requirements/appliance.lock, with their hashes checked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.image import locked, remove_old
from lab.process import Deadline, run_logged

# Debian 12's Python; wheels with compiled parts are for one version of Python only.
_GUEST_PYTHON = (3, 11)
_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]


def provide_wheelhouse(root: Path, cache: Path, folder: Path, log: Path, deadline: Deadline) -> Path:
    """Fill `folder` with the project's wheel and every wheel it depends on; returns `folder`."""
    if sys.version_info[:2] != _GUEST_PYTHON:
        seen, wanted = ".".join(map(str, sys.version_info[:2])), ".".join(map(str, _GUEST_PYTHON))
        raise LabError(
            f"the guest has Python {wanted}, this is {seen}: its wheels would not load; use Python {wanted}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in provide_dependencies(
        root / "requirements" / "appliance.lock", cache, log, deadline
    ).iterdir():
        shutil.copy2(wheel, folder)
    build_wheel(root, folder, log, deadline)
    return folder


def provide_dependencies(lock: Path, cache: Path, log: Path, deadline: Deadline) -> Path:
    """The cache folder with the wheels of the lock file, downloaded where it is missing."""
    key = hashlib.sha256(lock.read_bytes() + repr(_GUEST_PYTHON).encode()).hexdigest()[:16]
    final = cache / f"wheels-{key}"
    with locked(cache):
        if not final.is_dir():
            with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as aside:
                wheels = Path(aside) / "wheels"
                options = [
                    "--no-deps",
                    "--require-hashes",
                    "--only-binary",
                    ":all:",
                    "-d",
                    str(wheels),
                    "-r",
                    str(lock),
                ]
                run_logged([*_PIP, "download", *options], log, deadline)
                wheels.rename(final)
            remove_old(cache, "wheels-*", keep=2)
    return final


def build_wheel(root: Path, folder: Path, log: Path, deadline: Deadline) -> None:
    """Build the project's wheel from the checkout at `root` with this Python's build tools: no network."""
    with tempfile.TemporaryDirectory(prefix="studio-bypass-wheel-") as build:
        options = [
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "-w",
            str(folder),
            "-C",
            f"build-dir={build}",
        ]
        # meson-python looks for ninja on PATH; it is beside this Python.
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
        run_logged([*_PIP, "wheel", *options, str(root)], log, deadline, env=env)
    wheels = sorted(path.name for path in folder.glob("studio_bypass-*.whl"))
    if len(wheels) != 1:
        raise LabError(f"pip built {wheels or 'no wheel'} of studio-bypass, wanted one; see {log}")
