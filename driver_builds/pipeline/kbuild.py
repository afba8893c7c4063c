# SPDX-License-Identifier: Apache-2.0
"""Compiling an external module folder with the kernel's own build system."""

import re
from pathlib import Path

from driver_builds import process
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import NETMAP, Stage

_MATTERS = re.compile(
    r"\b(?:error|fatal|undefined|FAILED|No such file|Killed|No space left)\b|\*\*\*", re.IGNORECASE
)
# Kbuild prints a folder as it enters it, and warns of the compiler's package revision: neither is the cause.
_NOISE = re.compile(r"Entering directory|Leaving directory|Skipping BTF")
_LINES = 10


def pick_lines(log: str, limit: int = _LINES) -> list[str]:
    """The at most `limit` lines of a log that say why it failed; its last ones when none looks like that."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip() and not _NOISE.search(line)]
    return [line for line in lines if _MATTERS.search(line)][:limit] or lines[-limit:]


def make_modules(
    build: BuildContext, stage: Stage, subject: str, folder: Path, reason: str, *more: str
) -> None:
    """`make modules` for the module in `folder`; raises StageError with `reason` and what the log says."""
    log = build.get_log(subject)
    server = build.jobserver
    arguments = [
        "make",
        *([] if server else [f"-j{build.jobs}"]),
        f"--directory={build.ready_kernel.build}",
        f"M={folder}",
        f"KCFLAGS={render_flags(build, subject)}",
        *more,
        "modules",
    ]
    done = build.builder.run(
        arguments,
        cwd=folder,
        environment=process.build_environment(MAKEFLAGS=server.makeflags) if server else None,
        log=log,
        inherit=server.descriptors if server else (),
    )
    if done.status != 0:
        raise StageError(stage, subject, reason, pick_lines(done.output), log)


def render_flags(build: BuildContext, subject: str) -> str:
    """Compiler flags for netmap and the drivers alike; KCFLAGS, so that a driver's own ccflags-y stay.

    No debug information unless it was asked for, and folder names cut off, so that the same inputs give the same
    bytes anywhere.
    """
    tree = build.tree.path
    flags = ["-pipe", "-g" if build.inputs.debug_symbols else "-g0"]
    flags += [f"-ffile-prefix-map={build.ready_kernel.root}=linux"] if build.inputs.debug_symbols else []
    flags += [f"-ffile-prefix-map={build.work}=.", f"-ffile-prefix-map={tree}=netmap"]
    # A netmap.ko that is used again brings its own header; where it lacks a driver, a new one stands before it.
    probed = [build.get_probe_folder(NETMAP), build.get_folder(NETMAP)]
    netmap = [*dict.fromkeys(probed), tree / "LINUX", tree / "sys", tree / "sys/dev"]
    own = [] if subject == NETMAP else [build.get_trace_folder(subject)]
    # What netmap's probes found in a vendor's release stands before what they found in the kernel's own driver.
    own += [build.get_probe_folder(subject)] if build.inputs.get_vendor(subject) else []
    flags += [f"-I{folder}" for folder in (build.get_corrected(subject), *own, *netmap)]
    flags += ["-DCONFIG_NETMAP"]
    flags += [f"-DCONFIG_NETMAP_{name.upper()}" for name in build.inputs.subsystems]
    return " ".join(flags)
