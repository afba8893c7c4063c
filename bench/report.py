# SPDX-License-Identifier: Apache-2.0
"""What every benchmark says about itself: the machine, the commit, and its figures as JSON and as text."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Figure:
    """One forwarder at one frame size: frames a second of every run, in the order they were made."""

    who: str
    where: str
    frame_bytes: int
    frames_per_s: tuple[float, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median_frames_per_s(self) -> float:
        return median(self.frames_per_s)


def describe_machine() -> dict[str, Any]:
    """Processor, CPUs, kernel and load: what a reader needs to compare figures."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
    }


def read_commit() -> str:
    """The checkout's commit, with `+` where files differ from it; "unknown" outside git."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD").strip()
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def write_report(
    path: Path, name: str, figures: Sequence[Figure], skipped: Sequence[str], notes: Mapping[str, Any]
) -> None:
    """Leave the figures as JSON; the folder is made."""
    document = {
        "benchmark": name,
        "commit": read_commit(),
        "machine": describe_machine(),
        "figures": [asdict(figure) | {"median": figure.median_frames_per_s} for figure in figures],
        "skipped": list(skipped),
        **notes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def render_figures(figures: Sequence[Figure], reference: str) -> str:
    """A table for people; each figure beside that of `reference` at the same place and size."""
    against = {
        (figure.where, figure.frame_bytes): figure.median_frames_per_s
        for figure in figures
        if figure.who == reference
    }
    lines = [f"{'forwarder':<22} {'where':<10} {'bytes':>5} {'frames/s':>12} {'of ' + reference:>18}"]
    for figure in sorted(figures, key=lambda one: (one.where, one.frame_bytes)):
        base = against.get((figure.where, figure.frame_bytes))
        ratio = f"{figure.median_frames_per_s / base:.2f}x" if base else ""
        lines.append(
            f"{figure.who:<22} {figure.where:<10} {figure.frame_bytes:>5} "
            f"{figure.median_frames_per_s:>12,.0f} {ratio:>18}"
        )
    return "\n".join(lines)
