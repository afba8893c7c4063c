# SPDX-License-Identifier: Apache-2.0
"""Run bench_forward and, where it is installed, DPDK's testpmd over net_null; print ratios, write JSON.

usage: run_bench.py BENCH_FORWARD OUTPUT.json [LAPS]

Both run on one core, one after the other. testpmd forwards 64-byte frames between two null ports: `io` touches no
header, `mac` writes both MAC addresses. Its frames are always in the cache, so `warm` figures are the ones to compare.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTPMD = "dpdk-testpmd"
TESTPMD_SECONDS = 8
TESTPMD_RUNS = 3
PPS = re.compile(r"Rx-pps:\s+(\d+)")


def read_machine() -> dict[str, Any]:
    """What the figures belong to."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.*)", text)
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "commit": git.stdout.strip() or None,
        "load": round(os.getloadavg()[0], 1),
    }


def run_forward(program: str, laps: list[str]) -> list[dict[str, Any]]:
    """The JSON lines of bench_forward, pinned to one CPU."""
    cpu = max(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(cpu), program, *laps]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def run_testpmd(mode: str) -> float | None:
    """Nanoseconds a frame of one forwarding core, the best second seen; None where it does not run."""
    cpus = sorted(os.sched_getaffinity(0))
    command = [
        "timeout", "--signal=INT", str(TESTPMD_SECONDS), TESTPMD, "--no-huge", "-m", "512", "--no-pci", "--no-shconf",
        "-l", f"{cpus[0]},{cpus[-1]}", "--vdev=net_null0,size=64", "--vdev=net_null1,size=64", "--",
        f"--forward-mode={mode}", "--nb-cores=1", "--stats-period=1", "--auto-start", "--total-num-mbufs=8192",
    ]  # fmt: skip
    best = 0
    for _ in range(TESTPMD_RUNS):
        result = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        rates = [int(rate) for rate in PPS.findall(result.stdout)]
        best = max([best, *(first + second for first, second in zip(rates[::2], rates[1::2], strict=False))])
    return round(1e9 / best, 2) if best else None


def render(results: list[dict[str, Any]], testpmd: dict[str, float | None]) -> str:
    """A table for people."""
    lines = [
        f"{'case':20} {'bytes':>5} {'frames in':>9} {'ns':>8} {'floor':>8} {'ratio':>6} {'Mframes/s':>10}"
    ]
    for one in results:
        memory = "memory" if one["memory"] == "cold" else "cache"
        lines.append(
            f"{one['case']:20} {one['bytes']:5} {memory:>9} {one['ns']:8.2f} {one['floor_ns']:8.2f} "
            f"{one['ns'] / one['floor_ns']:6.2f} {1e3 / one['ns']:10.2f}"
        )
    renamed = [
        one["ns"]
        for one in results
        if (one["case"], one["bytes"], one["memory"]) == ("rename-10000", 64, "warm")
    ]
    for mode, ns in testpmd.items():
        if ns is None:
            lines.append(f"testpmd {mode}: not measured (apt-get install dpdk-dev)")
            continue
        ratio = f"; rename-10000 forwards {ns / renamed[0]:.2f} times as many" if renamed else ""
        lines.append(
            f"testpmd {mode:3} over net_null, 64 bytes: {ns:.2f} ns/frame, {1e3 / ns:.2f} Mframes/s{ratio}"
        )
    return "\n".join(lines)


def main() -> None:
    program, output, *laps = sys.argv[1:]
    machine = read_machine()
    results = run_forward(program, laps)
    installed = shutil.which(TESTPMD) is not None
    testpmd = {mode: run_testpmd(mode) if installed else None for mode in ("io", "mac")}
    document = {"machine": machine, "forward": results, "testpmd_ns": testpmd}
    Path(output).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(
        f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, commit {machine['commit']}, ",
        end="",
    )
    print(f"load {machine['load']} when it began")
    print(render(results, testpmd))


if __name__ == "__main__":
    main()
