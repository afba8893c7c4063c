# SPDX-License-Identifier: Apache-2.0
"""`make bench-lab`: our worker, netmap's `bridge` and VALE in one boot of a guest with netmap.ko and patched e1000.

    NIC pair:  eth0 (pkt-gen) ~ eth1 [forwarder] eth2 ~ eth3 (pkt-gen), two cables inside QEMU
    pipes:     pkt-gen -> pipe -> [forwarder] -> pipe -> pkt-gen, of one parent

netmap's own programs are built from NETMAP_SOURCE at run time. Figures are pkt-gen's, of the receiver.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli.options import get_default_cache
from driver_builds.distributions import known
from driver_builds.distributions.releases import get_distribution
from driver_builds.netmap_source import load_netmap_tree
from driver_builds.release import release_order

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/builds"))

from netmap_guest import compile_static, run_guest
from report import Figure, render_figures, write_report

ROOT = Path(__file__).parents[1]
SIZES_BYTES = (60, 1400)
FORWARD_S, LINK_S = 5, 5  # of a measurement; until an e1000 has its link after the reset of opening
PIPE_LINK_S = 1
ROUTES = "1000"
NIC_FRAMES_PER_S = (
    150_000  # above what an emulated e1000 forwards; unlimited, the sender takes the guest's CPUs
)
TO = "-d 239.1.0.1:20000 -D 01:00:5e:01:00:01"

# The guest's side of one measurement: who, where, bytes, sender, receiver, seconds to the link, rate.
MEASURE = f"""
measure() {{
  echo "MEASURE $1 $2 $3"
  pkt-gen -i $5 -f rx -w 0 >/rx.log 2>&1 & receiver=$!
  sleep 1
  timeout -s INT $(($6 + {FORWARD_S})) pkt-gen -i $4 -f tx -l $3 {TO} -w $6 $7 >/tx.log 2>&1
  kill -INT $receiver; wait $receiver
  grep ' avg_batch' /rx.log | sed 's/^/RX /'
  grep ' avg_batch' /tx.log | tail -n 2 | sed 's/^/TX /'
}}
end() {{ kill -INT $1 2>/dev/null; kill -TERM $1 2>/dev/null; wait $1; cat /forwarder.log | tail -n 2; }}
"""
RATE = re.compile(r"RX .*?\(([0-9.]+) ?([KMG]?)pkts .*? in ([0-9]+) usec\)")
SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


def build_programs(netmap: Path, folder: Path) -> dict[str, Path]:
    """Name -> program."""
    library = sorted((netmap / "libnetmap").glob("*.c"))
    includes = [netmap / "sys", netmap / "apps/include", netmap / "libnetmap"]
    native = ROOT / "native"
    ours = [*sorted((native / "src").glob("*.c")), native / "bench/bench_wire.c"]
    programs = {
        name: compile_static(
            [netmap / f"apps/{name}/{name}.c", *library], includes, folder / name, "-DNO_PCAP", "-w"
        )
        for name in ("pkt-gen", "bridge", "vale-ctl")
    }
    arguments = ("-std=gnu11", "-D_GNU_SOURCE")
    programs["bench_wire"] = compile_static(
        ours, [native / "include", native / "src"], folder / "bench_wire", *arguments
    )
    return programs


def _forwarders(one: str, two: str) -> dict[str, str]:
    return {
        "bridge": f"bridge -w 0 -i {one} -i {two}",
        "ours": f"bench_wire -n {ROUTES} {one} {two}",
        "ours-busy": f"bench_wire -w busy -n {ROUTES} {one} {two}",
    }


def build_script(rounds: int) -> Iterator[str]:
    """The commands of the boot, forwarders in turn."""
    nics = f"netmap:eth0 netmap:eth3 {LINK_S} '-R {NIC_FRAMES_PER_S}'"
    yield MEASURE
    for _ in range(rounds):
        for size in SIZES_BYTES:
            for who, command in _forwarders("netmap:eth1", "netmap:eth2").items():
                yield f"{command} >/forwarder.log 2>&1 & forwarder=$!"
                yield f"measure {who} e1000 {size} {nics}; end $forwarder"
            yield "vale-ctl -a vale0:eth1; vale-ctl -a vale0:eth2"
            yield f"measure vale e1000 {size} {nics}"
            yield "vale-ctl -d vale0:eth1; vale-ctl -d vale0:eth2"
            for who, command in _forwarders("'netmap:p}1'", "'netmap:p{2'").items():
                yield f"{command} >/forwarder.log 2>&1 & forwarder=$!"
                yield "sleep 1"
                yield f"measure {who} pipes {size} 'netmap:p{{1' 'netmap:p}}2' {PIPE_LINK_S}; end $forwarder"
            yield f"measure vale ports {size} vale1:a vale1:b {PIPE_LINK_S}"


def parse_figures(serial: str) -> list[Figure]:
    """The receiver's seconds of each measurement, its first and last left out: they are not whole."""
    rates: dict[tuple[str, str, int], list[float]] = {}
    for part in serial.split("MEASURE ")[1:]:
        who, where, size, *_ = part.split()
        seconds = [
            float(count) * SCALE[unit] * 1e6 / int(duration_us)
            for count, unit, duration_us in RATE.findall(part)
        ]
        busy = [rate for rate in seconds if rate > 0][1:-1]
        rates.setdefault((who, where, int(size)), []).append(median(busy) if busy else 0.0)
    return [Figure(who, where, size, tuple(runs)) for (who, where, size), runs in rates.items()]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="measurements of each forwarder, place and size"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench-lab.json")
    options = parser.parse_args()
    source = os.environ.get("NETMAP_SOURCE", "")
    if not source or shutil.which("qemu-system-x86_64") is None:
        print("NOT MEASURED: set NETMAP_SOURCE and install qemu-system-x86", file=sys.stderr)
        return 1
    cache = Path(os.environ.get("DRIVER_BUILDS_CACHE") or get_default_cache())
    tree = load_netmap_tree(source, cache, load_netmap_pin())
    own = known.read_releases(cache)[get_distribution("debian 12")]
    release = max(
        (one for one in own if re.fullmatch(r"6\.1\.0-[0-9]+-amd64", one.text)), key=release_order
    ).text
    with tempfile.TemporaryDirectory(prefix="bench-lab-") as name:
        folder = Path(name)
        build = [sys.executable, "-m", "driver_builds.cli.main", "build", "--kernel", release]
        build += ["--driver", "e1000", "--artifacts", str(folder)]
        subprocess.run(build, check=True, cwd=ROOT, stdout=sys.stderr)
        log = options.output.with_suffix(".serial.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        programs = build_programs(tree.path, folder)
        serial = run_guest(
            release, cache, folder / release, programs, list(build_script(options.rounds)), log
        )
    figures = parse_figures(serial)
    complete = (
        "GUEST DONE" in serial and "FAILED" not in serial and all(one.median_frames_per_s for one in figures)
    )
    write_report(options.output, "lab", figures, [], {"guest_kernel": release, "netmap": tree.commit})
    print(render_figures(figures, "bridge"))
    print(f"{options.output} has every run, {log} what the guest said")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
