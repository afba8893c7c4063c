# SPDX-License-Identifier: Apache-2.0
"""What the guest of `make bench-lab` runs: `bridge` waits in poll(2), our worker in each of its ways.

The forwarder has CPU 1 for itself, as a worker with `cpu: 1`; generator and receiver share CPU 0. Left to the
scheduler, any forwarder beside the generator has half the rate it has beside the receiver, and chance decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

REFERENCE = "bridge"
CONTROL = "bridge, once more"  # how far two measurements of the same thing differ
ROUTES = "1000"
SAMPLE_MS = 100
START_US = 600_000  # until pkt-gen sends, at most
# pkt-gen -o: every frame is written anew, as a source does; or slots are sent as they are, and the generator's own
# memcpy, dearer than any forwarder here, is out of the way.
WRITTEN = "-o 4"
AS_THEY_ARE = "-o 256"
TO = "-d 239.1.0.1:20000 -D 01:00:5e:01:00:01"

# One measurement: who, where, bytes, sender, receiver, seconds to the link, microseconds measured, more for the sender.
_MEASURE = f"""
ticks() {{ if [ -n "$forwarder" ]; then cut -d' ' -f14,15 /proc/$forwarder/stat; fi; }}
measure() {{
  echo "MEASURE $1 $2 $3"
  taskset 1 pkt-gen -i $5 -f rx -w 0 -T {SAMPLE_MS} >/rx.log 2>&1 & receiver=$!
  usleep 200000
  taskset 1 pkt-gen -i $4 -f tx -l $3 {TO} -w $6 $8 >/tx.log 2>&1 & sender=$!
  sleep $6; usleep {START_US}
  before=$(ticks); usleep $7; echo "TICKS $7 $before $(ticks)"
  kill -INT $sender; kill -INT $receiver
  wait $sender; wait $receiver
  grep ' avg_batch' /rx.log | sed 's/^/RX /'
}}
start() {{ taskset 2 "$@" >/forwarder.log 2>&1 & forwarder=$!; usleep 200000; }}
end() {{
  kill -INT $forwarder 2>/dev/null; kill -TERM $forwarder 2>/dev/null; wait $forwarder
  tail -n 1 /forwarder.log; forwarder=
}}
"""


@dataclass(frozen=True)
class Place:
    """Where frames go in, through the forwarder, and out."""

    name: str
    sender: str
    into: str
    out_of: str
    receiver: str
    sizes_bytes: tuple[int, ...]
    waits: tuple[str, ...]  # of our worker; its configuration's default is adaptive
    more: str  # for the sender
    link_s: int = 0  # until an e1000 has its link after the reset of opening
    measured_us: int = 2_000_000
    # Sender and receiver where a VALE forwards; none: nothing here it would forward.
    vale: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()  # to that VALE meanwhile


_NICS = ("netmap:eth0", "netmap:eth1", "netmap:eth2", "netmap:eth3")
_PIPES = ("'netmap:p{1'", "'netmap:p}1'", "'netmap:p{2'", "'netmap:p}2'")
_VALE_OF_NICS = (_NICS[0], _NICS[3]), ("vale0:eth1", "vale0:eth2")
_ALL = ("poll", "adaptive", "busy")
_SLEEPING = ("poll", "adaptive")  # an emulated NIC stops all CPUs each time it is asked
# More than any forwards; and what all do easily.
NICS = Place("e1000", *_NICS, (60, 1400), _SLEEPING, f"'{WRITTEN} -R 1000000'", 5, 4_000_000, *_VALE_OF_NICS)
OFFERED = replace(NICS, name="e1000, 250,000/s", more=f"'{WRITTEN} -R 250000'")
PIPES = Place("pipes", *_PIPES, (60, 1400), _ALL, f"'{WRITTEN}'", vale=("vale1:a", "vale1:b"))
# The size is of no matter where nobody writes frames, and without addresses a VALE drops them.
UNWRITTEN = replace(PIPES, name="pipes, as they are", sizes_bytes=(60,), more=f"'{AS_THEY_ARE}'", vale=())


def build_forwarders(place: Place) -> dict[str, str]:
    """Name -> command. `bridge` takes whole rings (-b); `bridge_busy` is compiled with its BUSYWAIT."""
    ports = f"{place.into} {place.out_of}"
    bridge = f"-w 0 -b 1024 -i {place.into} -i {place.out_of}"
    forwarders = {REFERENCE: f"bridge {bridge}"}
    if "busy" in place.waits:
        forwarders["bridge, busy"] = f"bridge_busy {bridge}"
    for wait in place.waits:
        forwarders[f"cross-connect, {wait}"] = f"bench_wire -w {wait} -n 0 {ports}"
        if WRITTEN in place.more:  # others are nobody's media
            forwarders[f"routes, rewrite, {wait}"] = f"bench_wire -w {wait} -n {ROUTES} -r {ports}"
    return forwarders | {CONTROL: f"bridge {bridge}"}


def _measure(who: str, place: Place, size: int, sender: str, receiver: str) -> str:
    names = f"'{who.replace(' ', '_')}' '{place.name.replace(' ', '_')}'"
    return f"measure {names} {size} {sender} {receiver} {place.link_s} {place.measured_us} {place.more}"


def build_round(place: Place) -> Iterator[str]:
    """Every forwarder once at each size, in turn, then VALE."""
    for size in place.sizes_bytes:
        for who, command in build_forwarders(place).items():
            yield f"start {command}"
            yield _measure(who, place, size, place.sender, place.receiver)
            yield "end"
        yield from (f"vale-ctl -a {port}" for port in place.attached)
        if place.vale:
            yield _measure("VALE", place, size, *place.vale)
        yield from (f"vale-ctl -d {port}" for port in place.attached)


def build_script(rounds: dict[Place, int]) -> Iterator[str]:
    """The commands of the boot: rounds of all places in turn."""
    yield _MEASURE
    for number in range(max(rounds.values())):
        for place, count in rounds.items():
            if number < count:
                yield from build_round(place)
