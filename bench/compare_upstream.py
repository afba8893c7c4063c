# SPDX-License-Identifier: Apache-2.0
"""How long a driver build takes beside upstream's `configure && make` of the same drivers on the same machine.

    python bench/compare_upstream.py --kernel 6.1.0-56-amd64 [--output FILE.json]      (NETMAP_SOURCE is set)

What is counted, for both: from unpacked kernel headers, unpacked driver sources and netmap's unpacked tree (the same
folders for both) to finished modules; wall-clock seconds, and CPU seconds of all processes. Not counted, for either:
fetching and unpacking.

    upstream   ./configure --kernel-dir --kernel-sources --no-ext-drivers --no-apps --no-utils --drivers=…, then
               make -jN, in an empty folder. When make fails, it is run again without each driver of --leave-out.
    cold       driver-builds build --rebuild: also checks all hashes, compiles every driver unpatched first, inspects
               every module, writes the manifest
    same set   the same without the drivers of --leave-out, where upstream was timed without them
    warm       driver-builds build into an empty folder with every module in the cache
    unchanged  the same once more
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from driver_builds.catalogue import load_drivers, load_netmap_pin
from driver_builds.cli.options import get_default_cache
from driver_builds.manifest import load_manifest

DRIVERS = ("e1000e", "igb", "ixgbe", "i40e", "ice")


@dataclass(frozen=True, slots=True)
class Timed:
    """One command: exit status, what it took, and the last of what it said."""

    status: int
    wall_s: float
    cpu_s: float
    tail: str


def run_timed(command: Sequence[str], cwd: Path | None = None) -> Timed:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wall_s, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed(done.returncode, round(wall_s, 1), round(cpu_s, 1), done.stdout[-2000:])


def build(arguments: argparse.Namespace, artifacts: Path, drivers: Sequence[str], *more: str) -> Timed:
    """`driver-builds build` as a user runs it."""
    command = [sys.executable, "-m", "driver_builds.cli.main", "build", "--kernel", arguments.kernel]
    command += ["--jobs", str(arguments.jobs), "--artifacts", str(artifacts), "--cache", str(arguments.cache)]
    command += [word for driver in drivers for word in ("--driver", driver)]
    timed = run_timed([*command, *more])
    if timed.status != 0:
        raise SystemExit(f"driver-builds build failed:\n{timed.tail}")
    return timed


def find_sources(
    cache: Path, artifacts: Path, kernel: str, drivers: Sequence[str]
) -> tuple[Path, Path, Path]:
    """(headers, sources, netmap's tree): the folders our own build has just used."""
    manifest = load_manifest(artifacts / kernel)
    headers = max((cache / "kernels").glob(f"{kernel}-*"), key=lambda path: path.stat().st_mtime)
    wanted = [load_drivers()[name].source for name in drivers]
    version = manifest.kernel.version
    sources = [
        folder
        for folder in (cache / "sources").glob(f"{manifest.kernel.source_package}_{version}-*")
        if all((folder / path).exists() for path in wanted)
    ]
    tree = cache / "trees" / manifest.netmap.sha256
    return headers / "usr/src" / f"linux-headers-{kernel}", sources[0], tree


def time_upstream(folders: tuple[Path, Path, Path], drivers: Sequence[str], jobs: int) -> dict[str, object]:
    """configure and make in an empty folder; `built` are the modules make left."""
    headers, sources, tree = folders
    with tempfile.TemporaryDirectory(prefix="upstream-") as scratch:
        configure = [str(tree / "LINUX/configure"), f"--kernel-dir={headers}", f"--kernel-sources={sources}"]
        configure += ["--no-ext-drivers", "--no-apps", "--no-utils", f"--drivers={','.join(drivers)}"]
        first = run_timed(configure, Path(scratch))
        second = run_timed(["make", f"-j{jobs}"], Path(scratch))
        built = sorted({path.name for path in Path(scratch).rglob("*.ko")})
    return {
        "drivers": list(drivers),
        "configure": asdict(first) | {"tail": ""},
        "make": asdict(second) | {"tail": second.tail[-600:] if second.status else ""},
        "wall_s": round(first.wall_s + second.wall_s, 1),
        "cpu_s": round(first.cpu_s + second.cpu_s, 1),
        "built": built,
        "whole": second.status == 0 and len(built) == len(drivers) + 1,
    }


def compare(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    drivers = arguments.driver or list(DRIVERS)
    build(arguments, scratch / "first", drivers)
    folders = find_sources(arguments.cache, scratch / "first", arguments.kernel, drivers)
    upstream = [time_upstream(folders, drivers, arguments.jobs)]
    same_set = None
    if not upstream[0]["whole"] and arguments.leave_out:
        left = [name for name in drivers if name not in arguments.leave_out]
        upstream.append(time_upstream(folders, left, arguments.jobs))
        same_set = asdict(build(arguments, scratch / "same-set", left, "--rebuild")) | {"tail": ""}
    cold = build(arguments, scratch / "cold", drivers, "--rebuild")
    warm = build(arguments, scratch / "warm", drivers)
    unchanged = build(arguments, scratch / "warm", drivers)
    modules = [module.file for module in load_manifest(scratch / "cold" / arguments.kernel).modules]
    return {
        "schema": 1,
        "kernel": arguments.kernel,
        "netmap_commit": load_netmap_pin().commit,
        "cpus": os.cpu_count(),
        "load_before": round(arguments.load, 2),
        "jobs": arguments.jobs,
        "upstream": upstream,
        "ours": {
            "built": modules,
            "cold": asdict(cold) | {"tail": ""},
            "same_set": same_set,
            "warm": asdict(warm) | {"tail": ""},
            "unchanged": asdict(unchanged) | {"tail": ""},
        },
    }


def render_line(document: dict[str, Any]) -> str:
    """The comparison as one sentence for each of upstream's runs."""
    ours = document["ours"]
    lines = []
    for run in document["upstream"]:
        outcome = "all built" if run["whole"] else f"only {', '.join(run['built']) or 'nothing'} built"
        lines.append(
            f"upstream, {', '.join(run['drivers'])}: {run['wall_s']} s ({run['cpu_s']} s CPU), {outcome}"
        )
    if same := ours["same_set"]:
        lines.append(f"driver-builds, the same set: cold {same['wall_s']} s ({same['cpu_s']} s CPU)")
    lines.append(
        f"driver-builds, {', '.join(ours['built'])}: cold {ours['cold']['wall_s']} s ({ours['cold']['cpu_s']} s CPU), "
        f"warm {ours['warm']['wall_s']} s, unchanged {ours['unchanged']['wall_s']} s"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--driver", action="append", help=f"default: {' '.join(DRIVERS)}")
    parser.add_argument("--leave-out", action="append", default=[], help="driver upstream is timed without")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, default=get_default_cache())
    parser.add_argument("--output", type=Path, help="also write the figures there, as JSON")
    arguments = parser.parse_args()
    if not os.environ.get("NETMAP_SOURCE"):
        raise SystemExit("NETMAP_SOURCE is not set; set it to a clone or tarball of netmap")
    arguments.load = os.getloadavg()[0]
    scratch = Path(tempfile.mkdtemp(prefix="driver-builds-bench-"))
    try:
        document = compare(arguments, scratch)
    finally:
        shutil.rmtree(scratch)
    print(render_line(document))
    if arguments.output:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
