# SPDX-License-Identifier: Apache-2.0
"""Run bench_forward, bench_media and, where installed, DPDK's testpmd; print ratios, write JSON and a page.

usage: run_bench.py BENCH_FORWARD OUTPUT.json [PAGE.md [LAPS]]

All run on one core, one after the other; testpmd before and after bench_forward, as clocks and neighbours change, and
the case it is compared with a second time for the same reason: of both the better one counts.
testpmd forwards 64-byte frames between two null ports: `io` touches no header, `mac` writes both MAC addresses. Its
frames are always in the nearest caches, so `near` figures are the ones to compare.
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

DEFAULT_LAPS = "100"  # of bench_forward
TESTPMD = "dpdk-testpmd"
TESTPMD_SECONDS = 7
TESTPMD_RUNS = 1
PPS = re.compile(r"Rx-pps:\s+(\d+)")
RESIDENCE = {"cold": "memory", "warm": "last cache", "near": "second cache"}
COMPARED = "rename-10000"

PAGE = """\
# Benchmarks of the loop

<!-- Written by native/bench/run_bench.py (`make bench`). -->

Nanoseconds a frame on one core, the best of many laps, without any device: {machine}.

* **ns** is the true loop over memory ports, counters and table included; **floor** is a loop that only swaps slots and
  reads the first line of each frame, or, with several outputs, copies frames with `memcpy` to all but the last.
* **frames in** says where frames lie when the loop meets them: in *memory*, where a NIC without DDIO leaves them; in
  the *last cache* (DDIO: rings of 4,096 slots); in the *second cache* (rings of 512 slots).
* `exact-N` looks up one of N routes, each frame another; `rename` also writes MAC addresses, IP addresses, UDP ports,
  checksums; `rewrite-all` DSCP, TTL, payload type and SSRC too; `replicate-N` has N outputs.
* A cross-connect reads no frame, the floor does: with frames in memory it is below it.

{testpmd}

{table}

## A window held (ST 2022-7, release in order)

2160p59.94 (1.036 million frames a second) by two paths 49.9 ms apart, class B: a hole on path A every 100 ms, so that
all behind it is held, {held_most} frames at once, until path B fills it. Held without a copy, in {hold_buffers} extra
buffers: {hold_bytes} bytes of memory. Nanoseconds are of a frame of input, both paths, over whole cycles;
`first-copy` is the same input with nothing held.

{held}
"""


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


def measure_testpmd() -> dict[str, float | None]:
    """By mode; None where it is not installed."""
    installed = shutil.which(TESTPMD) is not None
    return {mode: run_testpmd(mode) if installed else None for mode in ("io", "mac")}


def keep_best(first: dict[str, float | None], second: dict[str, float | None]) -> dict[str, float | None]:
    """The better of two measurements, mode by mode."""
    seen = {mode: [ns for ns in (first[mode], second[mode]) if ns is not None] for mode in first}
    return {mode: min(ns) if ns else None for mode, ns in seen.items()}


def keep_faster(results: list[dict[str, Any]], again: list[dict[str, Any]]) -> None:
    """Into `results`, what `again` measured in less time of the same case, size and memory."""
    seen = {(one["case"], one["bytes"], one["memory"]): one for one in results}
    for one in again:
        before = seen[one["case"], one["bytes"], one["memory"]]
        before.update({key: min(before[key], one[key]) for key in ("ns", "floor_ns")})


def render_table(results: list[dict[str, Any]]) -> str:
    """Markdown that reads well as text."""
    lines = [
        "| case              | bytes | frames in    |      ns |   floor | ratio | Mframes/s |",
        "| ----------------- | ----: | ------------ | ------: | ------: | ----: | --------: |",
    ]
    for one in results:
        lines.append(
            f"| {one['case']:17} | {one['bytes']:5} | {RESIDENCE[one['memory']]:12} | {one['ns']:7.2f} "
            f"| {one['floor_ns']:7.2f} | {one['ns'] / one['floor_ns']:5.2f} | {1e3 / one['ns']:9.2f} |"
        )
    return "\n".join(lines)


def render_testpmd(results: list[dict[str, Any]], testpmd: dict[str, float | None]) -> str:
    """What testpmd reached, and how many frames the loop forwards in the same time."""
    renamed = {
        RESIDENCE[one["memory"]]: one["ns"]
        for one in results
        if (one["case"], one["bytes"]) == (COMPARED, 64)
    }
    lines = []
    for mode, ns in testpmd.items():
        if ns is None:
            lines.append(f"testpmd {mode}: not measured (apt-get install dpdk-dev).")
            continue
        ratios = ", ".join(f"{ns / ours:.2f} from the {place}" for place, ours in renamed.items())
        lines.append(
            f"DPDK testpmd `{mode}` over net_null, 64 bytes: {ns:.2f} ns, {1e3 / ns:.2f} Mframes/s. "
            f"In its time {COMPARED} forwards: {ratios}."
        )
    return "\n\n".join(lines)


def render_media(results: list[dict[str, Any]]) -> str:
    """What observing adds to match and rewrite, and merges by their input."""
    lines = [f"{'media':22} {'bytes':>5} {'frames in':>9} {'loss %':>6} {'skew us':>8} {'ns':>8}"]
    for one in results:
        memory = "memory" if one["memory"] == "cold" else "cache"
        observed = "over_off" in one
        loss = "" if observed else str(one["loss_per_cent"])
        skew = "" if observed else f"{one['skew_ns'] / 1e3:.0f}"
        more = f"{100 * one['over_off']:+.0f} %" if observed else f"{one['mpps']:.1f} Mframes/s"
        lines.append(
            f"{one['case']:22} {one['bytes']:5} {memory:>9} {loss:>6} {skew:>8} {one['ns']:8.2f} {more:>16}"
        )
    return "\n".join(lines)


def render_held(results: list[dict[str, Any]]) -> str:
    """A table of what bench_hold says."""
    lines = [
        "| case                          | bytes | frames in    |      ns | Mframes/s | held at most | memory bytes |",
        "| ----------------------------- | ----: | ------------ | ------: | --------: | -----------: | -----------: |",
    ]
    for one in results:
        lines.append(
            f"| {one['case']:29} | {one['bytes']:5} | {RESIDENCE[one['memory']]:12} | {one['ns']:7.2f} "
            f"| {one['mpps']:9.1f} | {one['held_most']:12,} | {one['hold_bytes']:12,} |"
        )
    return "\n".join(lines)


def main() -> None:
    program, output, *rest = sys.argv[1:]
    machine = read_machine()
    before = measure_testpmd()
    laps = rest[1:] or [DEFAULT_LAPS]
    results = run_forward(program, laps)
    media = run_forward(str(Path(program).with_name("bench_media")), rest[1:])
    held = run_forward(str(Path(program).with_name("bench_hold")), [])
    testpmd = keep_best(before, measure_testpmd())
    keep_faster(results, run_forward(program, [*laps, COMPARED]))
    document = {"machine": machine, "forward": results, "media": media, "held": held, "testpmd_ns": testpmd}
    Path(output).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    page = PAGE.format(
        machine=f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, commit {machine['commit']}, "
        f"load {machine['load']} when it began",
        testpmd=render_testpmd(results, testpmd),
        table=render_table(results),
        held=render_held(held),
        **{key: f"{max(one[key] for one in held):,}" for key in ("held_most", "hold_buffers", "hold_bytes")},
    )
    print(page, end="")
    if rest:
        Path(rest[0]).write_text(page, encoding="utf-8")
    print(render_media(media))


if __name__ == "__main__":
    main()
