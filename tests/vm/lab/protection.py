# SPDX-License-Identifier: Apache-2.0
"""ST 2022-7 in the guest: both paths of the audio capture come in on one NIC, one flow leaves by the other.

What is expected is computed here from the numbers that were sent; nothing of the appliance is asked for it.
"""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import yaml

from lab import deploy
from lab.errors import LabError
from lab.guest import Guest
from lab.media import Flow, Media, parse_flow
from lab.report import Report
from lab.wire import IN_FLIGHT_FRAMES, Wire

FRAMES = 2000  # of each path
STEP_NS = 500_000  # four times slower than captured: an emulated NIC's ring never fills
NEW_GROUP = "239.99.1.1"
CONFIGURATION = "/etc/appliance/config.yaml"
_DESTINATION, _RTP_AT = slice(30, 34), 14 + 20 + 8
# Class C below 270 Mb/s (ST 2022-7:2019): 450 ms, wide enough for an emulated guest's moods.
CLASS = {"class": "C", "frames_per_s": 8000, "bits_per_s": 5_000_000}
WINDOW_S = 0.45
WITHIN_NS, BEYOND_NS = 300_000_000, 1_000_000_000
_SETTLE_S = 30.0

Lost = Callable[[int], bool]


@dataclass(frozen=True)
class Case:
    """Which places of the flow each path loses, and how far B is behind A."""

    name: str
    lost_a: Lost = lambda _place: False
    lost_b: Lost = lambda _place: False
    skew_ns: int = 0


CASES = (
    Case("no-loss"),
    Case("loss-on-a", lost_a=lambda place: place % 10 == 3),
    Case("bursts-on-b", lost_b=lambda place: place % 50 < 20),
    Case("both", lambda place: place % 10 == 3, lambda place: place % 7 == 1),
    Case("skew", lambda place: place % 10 == 3, lambda place: place % 7 == 1, WITHIN_NS),
    Case("late", lambda place: place % 10 == 3, skew_ns=BEYOND_NS),
)


@dataclass(frozen=True)
class Sent:
    """Numbers that left by each path, and whether B's copies came after the window."""

    a: set[int]
    b: set[int]
    late: bool

    def expect(self) -> dict[str, int]:
        """The counters of the merge."""
        numbers = self.a | self.b
        source = max(numbers) - min(numbers) + 1
        out = self.a if self.late else numbers
        return {
            "a received": len(self.a),
            "b received": len(self.b),
            "a lost": source - len(self.a),
            "b lost": source if self.late else source - len(self.b),
            "b late": len(self.b) if self.late else 0,
            "forwarded": len(out),
            "merged": 0 if self.late else len(self.a & self.b),
            "lost on both": source - len(out),
        }


def check_protection(guest: Guest, media: Sequence[Media], report: Report) -> None:
    """Every case with a merge of its own; then the guest has its former configuration again."""
    configuration = yaml.safe_load(guest.access.read(f"cat {CONFIGURATION}"))
    audio = next(one for one in media if len(one.flows) == 2)
    (enters, enters_path), (leaves, leaves_path) = guest.cables
    paths = split_paths(audio)
    with Wire(enters_path) as into, Wire(leaves_path) as out:
        for case in CASES:
            _apply_text(
                guest, yaml.safe_dump(plan_protected(configuration, case.name, list(paths), enters, leaves))
            )
            sent = _send(case, list(paths.values()), into, out)
            flow = _wait_settled(guest, case.name, sent)
            wanted, seen = sent.expect(), read_counters(flow)
            report.check(f"protected: {case.name}", seen == wanted, describe(seen, wanted))
            report.check(f"protected: {case.name}: frames", *compare(_take_media(out), case, sent, paths))
    guest.access.read(f"appliance apply {CONFIGURATION}", limit_s=120)


def _take_media(out: Wire) -> list[bytes]:
    """What came out to the new group: the guest itself leaves the groups of routes that are gone (IGMP)."""
    return [frame for frame in out.take() if frame[_DESTINATION] == IPv4Address(NEW_GROUP).packed]


def split_paths(audio: Media) -> dict[Flow, dict[int, bytes]]:
    """Flow → RTP number → frame, of the first FRAMES numbers both paths have; no wrap is in them."""
    found: dict[Flow, dict[int, bytes]] = {flow: {} for flow in audio.flows}
    for frame in audio.frames:
        found[parse_flow(frame.data)][read_number(frame.data)] = frame.data
    first = max(min(path) for path in found.values())
    return {flow: {n: path[n] for n in range(first, first + FRAMES)} for flow, path in found.items()}


def read_number(frame: bytes) -> int:
    """The RTP sequence number (RFC 3550, 5.1)."""
    return int.from_bytes(frame[_RTP_AT + 2 : _RTP_AT + 4], "big")


def plan_protected(
    configuration: Mapping[str, Any], name: str, flows: Sequence[Flow], enters: str, leaves: str
) -> dict[str, Any]:
    """The lab's configuration with one route: both flows from `enters`, merged, to `leaves`."""
    matches = [{"port": enters, "group": flow.group, "udp_port": flow.udp_port} for flow in flows]
    protect = {**CLASS, "a": matches[0], "b": matches[1]}
    route = {"name": name, "protect": protect, "outputs": [{"port": leaves, "group": NEW_GROUP}]}
    return {**configuration, "routes": [route]}


def _apply_text(guest: Guest, text: str) -> None:
    coded = base64.b64encode(text.encode()).decode()
    place = "/run/lab-protection.yaml"
    guest.access.read(f"echo {coded} | base64 -d > {place} && appliance apply {place}", limit_s=120)


def _send(case: Case, paths: Sequence[Mapping[int, bytes]], into: Wire, out: Wire) -> Sent:
    """Each frame no earlier than its time; the first and the last of each path are not lost."""
    sendings: list[tuple[int, int, bytes]] = []
    for index, (path, lost) in enumerate(zip(paths, (case.lost_a, case.lost_b), strict=True)):
        for place, frame in enumerate(path.values()):
            if place in (0, FRAMES - 1) or not lost(place):
                sendings.append((place * STEP_NS + index * case.skew_ns, index, frame))
    out.take()
    start_ns = time.monotonic_ns()
    for sent, (due_ns, _, frame) in enumerate(sorted(sendings, key=lambda sending: sending[0])):
        ahead_ns = start_ns + due_ns - time.monotonic_ns()
        if ahead_ns > 0:
            time.sleep(ahead_ns / 1e9)
        elif sent % (IN_FLIGHT_FRAMES // 4) == 0:
            time.sleep(0.005)  # behind: give the guest time to empty its ring
        into.send(frame)
    numbers = [{read_number(frame) for _, path, frame in sendings if path == index} for index in (0, 1)]
    return Sent(numbers[0], numbers[1], late=case.skew_ns > WITHIN_NS)


def _wait_settled(guest: Guest, name: str, sent: Sent) -> dict[str, Any]:
    """The flow in status once all frames came to it and the last one's window has passed."""
    end_s = time.monotonic() + _SETTLE_S
    wanted = [len(sent.a), len(sent.b)]
    while True:
        flow = _read_flow(guest, name)
        seen = [flow[path]["received_frames"] for path in ("a", "b")]
        if seen == wanted:
            # Counters of merges are published every tenth of a second.
            time.sleep(WINDOW_S + 0.5)
            return _read_flow(guest, name)
        if time.monotonic() > end_s:
            raise LabError(f"protected flow {name}: {seen} frames of {wanted} came to it")
        time.sleep(0.2)


def _read_flow(guest: Guest, name: str) -> dict[str, Any]:
    flows = {flow["name"]: flow for flow in deploy.read_status(guest.access)["protected"]}
    if name not in flows:
        raise LabError(f"status lists no protected flow {name}, but {sorted(flows)}")
    flow: dict[str, Any] = flows[name]
    return flow


def read_counters(flow: Mapping[str, Any]) -> dict[str, int]:
    """What `Sent.expect` names, out of status."""
    a, b = flow["a"], flow["b"]
    return {
        "a received": a["received_frames"],
        "b received": b["received_frames"],
        "a lost": a["lost_frames"],
        "b lost": b["lost_frames"],
        "b late": b["late_frames"],
        "forwarded": a["forwarded_frames"] + b["forwarded_frames"],
        "merged": a["merged_frames"] + b["merged_frames"],
        "lost on both": flow["lost_frames"],
    }


def compare(
    frames: Sequence[bytes], case: Case, sent: Sent, paths: Mapping[Flow, Mapping[int, bytes]]
) -> tuple[bool, str]:
    """Each wanted number once, its RTP packet unchanged; in order where no path had to fill in for the other."""
    wanted = sent.a if sent.late else sent.a | sent.b
    numbers = [read_number(frame) for frame in frames]
    if sorted(numbers) != sorted(wanted):
        strange = len(numbers) - len(set(numbers) & wanted)
        return (
            False,
            f"{len(numbers)} frames, {strange} twice or strange, {len(wanted - set(numbers))} missing",
        )
    copies = [[path[number][_RTP_AT:] for path in paths.values()] for number in numbers]
    changed = sum(frame[_RTP_AT:] not in known for frame, known in zip(frames, copies, strict=True))
    behind = sum(later < earlier for earlier, later in itertools.pairwise(numbers))
    in_order = behind == 0 or case.skew_ns == WITHIN_NS
    return (
        changed == 0 and in_order,
        f"{len(numbers)} frames once each, {changed} changed, {behind} out of order",
    )


def describe(seen: Mapping[str, int], wanted: Mapping[str, int]) -> str:
    """The counters, and what they should be where they differ."""
    return ", ".join(
        f"{count} {name}" if count == wanted[name] else f"{count} {name} (wanted {wanted[name]})"
        for name, count in seen.items()
    )
