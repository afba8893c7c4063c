# SPDX-License-Identifier: Apache-2.0
"""`make bench-lab`: our worker, netmap's `bridge` and VALE in one boot of a guest with netmap.ko and patched e1000.

    NIC pair:  eth0 (pkt-gen) ~ eth1 [forwarder] eth2 ~ eth3 (pkt-gen), two cables inside QEMU
    pipes:     pkt-gen -> pipe -> [forwarder] -> pipe -> pkt-gen, of one parent

netmap's own programs are built from NETMAP_SOURCE at run time. Figures are pkt-gen's, of the receiver; the forwarders
take turns, round after round. Takes about twenty minutes.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli.options import get_default_cache
from driver_builds.distributions import known
from driver_builds.distributions.releases import get_distribution
from driver_builds.netmap_source import load_netmap_tree
from driver_builds.release import release_order

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/builds"))

from lab_figures import parse_figures, render_table
from lab_script import NICS, OFFERED, PIPES, REFERENCE, UNWRITTEN, build_script
from netmap_guest import compile_static, run_guest
from report import write_report

ROOT = Path(__file__).parents[1]
LIMIT_S = 3600


def build_programs(netmap: Path, folder: Path) -> dict[str, Path]:
    """Name -> program."""
    library = sorted((netmap / "libnetmap").glob("*.c"))
    includes = [netmap / "sys", netmap / "apps/include", netmap / "libnetmap"]
    native = ROOT / "native"
    ours = [*sorted((native / "src").glob("*.c")), native / "bench/bench_wire.c"]
    programs = {}
    for name in ("pkt-gen", "bridge", "bridge_busy", "vale-ctl"):
        source = netmap / "apps" / name.removesuffix("_busy")
        sources = [source / f"{source.name}.c", *library]
        more = ("-DBUSYWAIT",) if name == "bridge_busy" else ()
        programs[name] = compile_static(sources, includes, folder / name, "-DNO_PCAP", "-w", *more)
    arguments = ("-std=gnu11", "-D_GNU_SOURCE")
    programs["bench_wire"] = compile_static(
        ours, [native / "include", native / "src"], folder / "bench_wire", *arguments
    )
    return programs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nic-rounds", type=int, default=3, help="measurements of each forwarder and size")
    parser.add_argument("--pipe-rounds", type=int, default=6, help="the same between pipes")
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
        rounds = {PIPES: options.pipe_rounds, UNWRITTEN: options.pipe_rounds}
        rounds |= {NICS: options.nic_rounds, OFFERED: 1}
        script = list(build_script(rounds))
        serial = run_guest(release, cache, folder / release, programs, script, log, limit_s=LIMIT_S)
    figures = parse_figures(serial)
    complete = "GUEST DONE" in serial and "FAILED" not in serial and all(one.frames_per_s for one in figures)
    if not complete:
        print(f"NOT COMPLETE: {log} has what the guest said", file=sys.stderr)
        return 1
    write_report(options.output, "lab", figures, [], {"guest_kernel": release, "netmap": tree.commit})
    print(render_table(figures, REFERENCE))
    print(f"{options.output} has every sample, {log} what the guest said")
    return 0


if __name__ == "__main__":
    sys.exit(main())
