# SPDX-License-Identifier: Apache-2.0
"""What the guest of `make bench-lab` runs, and what its serial log says of it.

The forwarder waits in poll(2), as `bridge` does, and has CPU 1 for itself, as a worker with `cpu: 1`; generator and
receiver share CPU 0. Left to the scheduler, any forwarder beside the generator has half the rate it has beside the
receiver, and chance decides.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from report import Figure

SIZES_BYTES = (60, 1400)
REFERENCE = "bridge"
CONTROL = "bridge, once more"  # how far two measurements of the same thing differ
ROUTES = "1000"
LINK_S = 5  # until an e1000 has its link after the reset of opening
# Above what an emulated e1000 forwards; unlimited, the sender takes the guest's CPUs.
NIC_FRAMES_PER_S = 250_000
SAMPLE_MS = 250
COPY_EACH = 4  # pkt-gen -o: every frame is written anew; else only buffers the forwarder says it changed
TICKS_PER_S = 100  # of /proc/PID/stat
START_US = 1_000_000  # until pkt-gen sends, at most
_SECONDS = 2  # of a measurement
TO = "-d 239.1.0.1:20000 -D 01:00:5e:01:00:01"

# One measurement: who, where, bytes, sender, receiver, seconds to the link, more for the sender.
_MEASURE = f"""
ticks() {{ if [ -n "$forwarder" ]; then cut -d' ' -f14,15 /proc/$forwarder/stat; fi; }}
measure() {{
  echo "MEASURE $1 $2 $3"
  taskset 1 pkt-gen -i $5 -f rx -w 0 -T {SAMPLE_MS} >/rx.log 2>&1 & receiver=$!
  usleep 300000
  taskset 1 pkt-gen -i $4 -f tx -o {COPY_EACH} -l $3 {TO} -w $6 $7 >/tx.log 2>&1 & sender=$!
  sleep $6; usleep {START_US}
  before=$(ticks); sleep {_SECONDS}; echo "TICKS $before $(ticks)"
  kill -INT $sender; wait $sender
  kill -INT $receiver; wait $receiver
  grep ' avg_batch' /rx.log | sed 's/^/RX /'
}}
start() {{ taskset 2 "$@" >/forwarder.log 2>&1 & forwarder=$!; usleep 300000; }}
end() {{
  kill -INT $forwarder 2>/dev/null; kill -TERM $forwarder 2>/dev/null; wait $forwarder
  tail -n 1 /forwarder.log; forwarder=
}}
"""
_SAMPLE = re.compile(r"RX .*?\(([0-9.]+) ?([KMG]?)pkts .*? in ([0-9]+) usec\)")
_TICKS = re.compile(r"TICKS ([0-9]+) ([0-9]+) ([0-9]+) ([0-9]+)")
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Place:
    """Where frames go in, through the forwarder, and out."""

    name: str
    sender: str
    into: str
    out_of: str
    receiver: str
    link_s: int
    more: str = ""


NICS = Place(
    "e1000",
    "netmap:eth0",
    "netmap:eth1",
    "netmap:eth2",
    "netmap:eth3",
    LINK_S,
    f"'-R {NIC_FRAMES_PER_S}'",
)
PIPES = Place("pipes", "'netmap:p{1'", "'netmap:p}1'", "'netmap:p{2'", "'netmap:p}2'", 0)


def _forwarders(place: Place) -> dict[str, str]:
    ports = f"{place.into} {place.out_of}"
    bridge = f"bridge -w 0 -b 1024 -i {place.into} -i {place.out_of}"  # -b: whole rings
    return {
        REFERENCE: bridge,
        "cross-connect": f"bench_wire -w poll -n 0 {ports}",
        "routes": f"bench_wire -w poll -n {ROUTES} {ports}",
        "routes, rewrite": f"bench_wire -w poll -n {ROUTES} -r {ports}",
        CONTROL: bridge,
    }


def _measure(who: str, place: Place, size: int, sender: str, receiver: str) -> str:
    return f"measure '{who}' {place.name} {size} {sender} {receiver} {place.link_s} {place.more}"


def build_round(place: Place) -> Iterator[str]:
    """Every forwarder once at each size, in turn."""
    for size in SIZES_BYTES:
        for who, command in _forwarders(place).items():
            if who in ("routes", CONTROL) and place is NICS:
                continue  # each takes ten seconds, and the generator decides
            yield f"start {command}"
            yield _measure(who.replace(" ", "_"), place, size, place.sender, place.receiver)
            yield "end"
        if place is NICS:
            yield f"vale-ctl -a vale0:{place.into[7:]}; vale-ctl -a vale0:{place.out_of[7:]}"
            yield _measure("VALE", place, size, place.sender, place.receiver)
            yield f"vale-ctl -d vale0:{place.into[7:]}; vale-ctl -d vale0:{place.out_of[7:]}"
        else:
            yield _measure("VALE", place, size, "vale1:a", "vale1:b")


def build_script(nic_rounds: int, pipe_rounds: int) -> Iterator[str]:
    """The commands of the boot: rounds of both places in turn."""
    yield _MEASURE
    for number in range(max(nic_rounds, pipe_rounds)):
        if number < pipe_rounds:
            yield from build_round(PIPES)
        if number < nic_rounds:
            yield from build_round(NICS)


def parse_figures(serial: str) -> list[Figure]:
    """A figure for each forwarder, place and size: of each round the median of the receiver's samples.

    `cpu` is the forwarder's share of its CPU.
    """
    rates: dict[tuple[str, str, int], list[float]] = {}
    shares: dict[tuple[str, str, int], list[float]] = {}
    for part in serial.split("MEASURE ")[1:]:
        who, where, size, *_ = part.split()
        key = who.replace("_", " "), where, int(size)
        samples = [
            float(count) * _SCALE[unit] * 1e6 / int(duration_us)
            for count, unit, duration_us in _SAMPLE.findall(part)
        ]
        rates.setdefault(key, []).append(_take_middle(samples))
        if ticks := _TICKS.search(part):
            user, system, user_after, system_after = map(int, ticks.groups())
            share = (user_after + system_after - user - system) / TICKS_PER_S / _SECONDS
            shares.setdefault(key, []).append(share)
    return [
        Figure(*key, tuple(runs), {"cpu": median(shares[key])} if key in shares else {})
        for key, runs in rates.items()
    ]


def _take_middle(samples: list[float]) -> float:
    """The median from the first sample with frames to the last, without these two, which are not whole."""
    busy = [at for at, rate in enumerate(samples) if rate > 0]
    middle = samples[busy[0] + 1 : busy[-1]] if busy else []
    return median(middle) if middle else 0.0


def compare_rounds(figure: Figure, reference: Figure) -> float:
    """The median of the rounds' ratios: what else the machine does in a round meets both."""
    pairs = zip(figure.frames_per_s, reference.frames_per_s, strict=True)
    return median(mine / other if other else 0.0 for mine, other in pairs)


def render_table(figures: list[Figure]) -> str:
    """Markdown: best and median of the rounds, beside the reference's of the same rounds."""
    lines = [
        "| where | bytes | forwarder | best | median | of bridge | best of best | CPU |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    references = {(one.where, one.frame_bytes): one for one in figures if one.who == REFERENCE}
    for one in sorted(figures, key=lambda figure: (figure.where, figure.frame_bytes)):
        other = references[one.where, one.frame_bytes]
        best = max(one.frames_per_s)
        share = f"{one.details['cpu']:.0%}" if "cpu" in one.details else ""
        lines.append(
            f"| {one.where} | {one.frame_bytes:,} | {one.who} | {best:,.0f} | {one.median_frames_per_s:,.0f} "
            f"| {compare_rounds(one, other):.2f} | {best / max(other.frames_per_s):.2f} | {share} |"
        )
    return "\n".join(lines)
