# SPDX-License-Identifier: Apache-2.0
"""`make bench-kernel`: our worker on AF_XDP, the Linux bridge and DPDK's net_af_xdp, on the same veth pairs.

    generator: g0 ~ p0 [forwarder] p1 ~ r0 :receiver

The generator offers more than any of them forwards; counted is what arrives at r0. The forwarders take turns,
so that what else the machine does meets all of them. Needs root.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/media"))

from lab_net import LabNet, Namespace, Niceness, favour, reason_not_available
from report import Figure, render_figures, write_report

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build/bench/native/bench"
SIZES_BYTES = (60, 1400)
GENERATOR_CPU, WORKER_CPU = "0", "1"
SETTLE_S = 0.3
TESTPMD_START_S = 6.0

Forwarder = Callable[["Pairs"], AbstractContextManager[subprocess.Popen[str] | None]]


class Pairs:
    """The namespaces and links of one measurement."""

    def __init__(self, net: LabNet) -> None:
        self.net = net
        self.sender, self.middle, self.receiver = (net.add_namespace(role) for role in ("g", "m", "r"))
        net.connect(self.sender, "g0", self.middle, "p0")
        net.connect(self.middle, "p1", self.receiver, "r0")
        # The generator hands XDP frames over, which a veth takes while it has NAPI: GRO gives it one.
        net.run(self.middle, ["ethtool", "-K", "p0", "gro", "on"])

    def start(self, namespace: Namespace, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.net.command(namespace, command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        favour(process.pid, Niceness.APPLIANCE)
        return process

    def count_received(self) -> int:
        (link,) = json.loads(self.net.run(self.receiver, ["ip", "-s", "-j", "link", "show", "r0"]))
        return int(link["stats64"]["rx"]["packets"])


@contextmanager
def bridge(pairs: Pairs) -> Iterator[subprocess.Popen[str] | None]:
    """No process, no filter, no snooping: as fast as a bridge gets."""
    run = pairs.net.run
    run(pairs.middle, ["ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"])
    if Path("/proc/sys/net/bridge").exists():
        run(pairs.middle, ["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"])
    for port in ("p0", "p1"):
        run(pairs.middle, ["ip", "link", "set", port, "master", "br0"])
    run(pairs.middle, ["ip", "link", "set", "br0", "up"])
    yield None


def ours(*options: str) -> Forwarder:
    """The true worker in a process of its own."""

    @contextmanager
    def running(pairs: Pairs) -> Iterator[subprocess.Popen[str] | None]:
        command = [str(BUILT / "bench_wire"), "-c", WORKER_CPU, *options, "xdp:p0", "xdp:p1"]
        process = pairs.start(pairs.middle, command)
        assert process.stderr is not None
        if not process.stderr.readline().startswith("forwarding"):
            raise SystemExit(f"bench_wire did not start: {process.stderr.read()}")
        yield process
        process.terminate()

    return running


@contextmanager
def testpmd(pairs: Pairs) -> Iterator[subprocess.Popen[str] | None]:
    """DPDK's forwarder, receive to send without a look at the frame (`io`), on a CPU of its own."""
    command = ["dpdk-testpmd", "--no-huge", "-m", "512", "--no-pci", "-l", "0,1"]
    command += ["--vdev", "net_af_xdp0,iface=p0", "--vdev", "net_af_xdp1,iface=p1"]
    command += ["--", "--forward-mode=io", "--auto-start", "--no-mlockall", "--total-num-mbufs=16384"]
    process = pairs.start(pairs.middle, command)
    time.sleep(TESTPMD_START_S)
    if process.poll() is not None:
        raise SystemExit(f"dpdk-testpmd did not start: {process.stderr.read() if process.stderr else ''}")
    yield process
    process.terminate()


def measure(forwarder: Forwarder, frame_bytes: int, seconds: int) -> tuple[float, dict[str, object]]:
    """Frames a second that arrived, and what the forwarder says of itself."""
    with LabNet("bench") as net:
        pairs = Pairs(net)
        with forwarder(pairs) as process:
            time.sleep(SETTLE_S)
            before = pairs.count_received()
            blast = [str(BUILT / "bench_blast"), "g0", str(frame_bytes), str(seconds)]
            generator = pairs.start(pairs.sender, ["taskset", "-c", GENERATOR_CPU, *blast])
            _, trouble = generator.communicate(timeout=seconds + 30)
            if generator.returncode != 0:
                raise SystemExit(f"bench_blast: {trouble}")
            time.sleep(SETTLE_S)
            rate = (pairs.count_received() - before) / seconds
        if process is None:
            return rate, {}
        said, _ = process.communicate(timeout=30)
        return rate, json.loads(said) if said.startswith("{") else {}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=2, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each forwarder and size")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench-kernel.json")
    options = parser.parse_args()
    if (reason := reason_not_available()) is not None:
        print(f"NOT MEASURED: {reason}", file=sys.stderr)
        return 1
    forwarders: dict[str, Forwarder] = {
        "linux bridge": bridge,
        "ours adaptive": ours("-w", "adaptive"),
        "ours busy": ours("-w", "busy"),
    }
    skipped = []
    if shutil.which("dpdk-testpmd"):
        forwarders["testpmd net_af_xdp"] = testpmd
    else:
        skipped.append("testpmd net_af_xdp: not installed; apt-get install dpdk to compare")
    rates: dict[tuple[str, int], list[tuple[float, dict[str, object]]]] = {}
    for _ in range(options.rounds):
        for frame_bytes in SIZES_BYTES:
            for who, forwarder in forwarders.items():
                taken = measure(forwarder, frame_bytes, options.seconds)
                rates.setdefault((who, frame_bytes), []).append(taken)
                print(f"  {who}, {frame_bytes} bytes: {taken[0]:,.0f} frames/s", file=sys.stderr)
    figures = [
        Figure(who, "veth", size, tuple(rate for rate, _ in runs), {"last_run": runs[-1][1]})
        for (who, size), runs in rates.items()
    ]
    write_report(options.output, "kernel", figures, skipped, {"seconds": options.seconds})
    print(render_figures(figures, "linux bridge"))
    print("\n".join(f"SKIPPED: {line}" for line in skipped))
    print(f"{options.output} has every run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
