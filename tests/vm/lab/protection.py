# SPDX-License-Identifier: Apache-2.0
"""ST 2022-7 in the guest: two paths that lose frames become one flow, and the guest's status counts every loss.

Both paths enter by one cable, as two groups, and leave by the other. What is expected follows from what was sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import yaml

from lab import deploy
from lab.errors import LabError
from lab.guest import Guest
from lab.media import Flow, Media, parse_flow
from lab.report import Report
from lab.wire import IN_FLIGHT_FRAMES, Wire, wait_quiet

FLOW = "protected"
NEW_GROUP = "239.99.1.1"
FRAMES = 4000
LATE_FRAMES = 100
# Class C below 270 Mb/s: 450 ms, so that no pause of a busy machine changes a count.
WINDOW_S = 0.45
_CONFIGURED, _CHANGED = "/etc/appliance/config.yaml", "/run/lab-protection.yaml"
_DESTINATION, _RTP_AT = slice(30, 34), 14 + 20 + 8
_PATIENCE_S = 2.0


@dataclass
class Expected:
    """What follows from the frames that were sent, by their numbers."""

    a: set[int] = field(default_factory=set)
    b: set[int] = field(default_factory=set)
    late: int = 0
    """Copies by path B that were sent long after their window."""

    def list_counts(self) -> dict[str, int]:
        """As `list_counts` reads them from the status."""
        both = self.a | self.b
        sent = max(both) - min(both) + 1
        return {
            "received by A": len(self.a),
            "received by B": len(self.b) + self.late,
            "lost by A": sent - len(self.a),
            "lost by B": sent - len(self.b),
            "lost by both": sent - len(both),
            "merged": len(self.a & self.b),
            "late by B": self.late,
        }


def list_counts(flow: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a protected flow in the status document."""
    a, b = flow["a"], flow["b"]
    return {
        "received by A": a["received_frames"],
        "received by B": b["received_frames"],
        "lost by A": a["lost_frames"],
        "lost by B": b["lost_frames"],
        "lost by both": flow["lost_frames"],
        "merged": a["merged_frames"] + b["merged_frames"],
        "late by B": b["late_frames"],
    }


def plan_protection(
    configuration: Mapping[str, Any], flows: Sequence[Flow], ports: Sequence[str]
) -> dict[str, Any]:
    """The guest's configuration with one protected route instead of its routes; its ports stay as they are."""
    paths = {
        path: {"port": ports[0], "group": flow.group, "udp_port": flow.udp_port}
        for path, flow in zip("ab", flows, strict=True)
    }
    protect = paths | {"class": "C", "frames_per_s": 8000, "bits_per_s": 5_000_000}
    outputs = [{"port": ports[1], "group": NEW_GROUP}]
    route = {"name": FLOW, "protect": protect, "observe": "rtp", "outputs": outputs}
    return {**configuration, "routes": [route]}


def list_paths(media: Media) -> list[dict[int, bytes]]:
    """RTP number → frame of both flows, the first FRAMES numbers that both have."""
    paths: list[dict[int, bytes]] = [{}, {}]
    flows = media.flows
    for frame in media.frames:
        paths[flows.index(parse_flow(frame.data))][read_number(frame.data)] = frame.data
    first = max(min(path) for path in paths)
    return [{number: path[number] for number in range(first, first + FRAMES)} for path in paths]


def read_number(data: bytes) -> int:
    """RFC 3550, 5.1."""
    return int.from_bytes(data[_RTP_AT + 2 : _RTP_AT + 4], "big")


def list_sendings(paths: Sequence[Mapping[int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """(path, number, frame), without one in ten by A and one in seven by B: one in seventy is lost on both."""
    for place, number in enumerate(paths[0]):
        is_end = place in (0, len(paths[0]) - 1)
        for path, (every, rest) in enumerate(((10, 3), (7, 1))):
            if is_end or place % every != rest:
                yield path, number, paths[path][number]


def check_protection(guest: Guest, media: Sequence[Media], report: Report) -> None:
    """Apply the protected route, send, compare, and apply what the playbook had configured."""
    (audio,) = [one for one in media if len(one.flows) == 2]
    (first, first_path), (second, second_path) = guest.cables
    configuration = yaml.safe_load(guest.access.read(f"cat {_CONFIGURED}"))
    text = yaml.safe_dump(plan_protection(configuration, audio.flows, (first, second)), sort_keys=False)
    guest.access.read(f"cat > {_CHANGED} <<'EOF'\n{text}EOF")
    guest.access.read(f"appliance apply {_CHANGED}")
    try:
        with Wire(first_path) as enters, Wire(second_path) as leaves:
            leaves.take()
            expected, frames = _send_all(enters, leaves, list_paths(audio))
            _report_frames(frames, expected, list_paths(audio)[0], report)
        time.sleep(WINDOW_S + 0.5)  # losses are told when their window has passed
        _report_counts(deploy.read_status(guest.access), expected, report)
    finally:
        guest.access.read(f"appliance apply {_CONFIGURED}")


def _send_all(
    enters: Wire, leaves: Wire, paths: Sequence[Mapping[int, bytes]]
) -> tuple[Expected, list[bytes]]:
    expected = Expected()
    under_way = 0
    for path, number, frame in list_sendings(paths):
        enters.send(frame)
        (expected.a, expected.b)[path].add(number)
        under_way += 1
        if under_way == IN_FLIGHT_FRAMES // 2:
            _wait_out(leaves, len(expected.a | expected.b))
            under_way = 0
    wait_quiet((leaves,), len(expected.a | expected.b), 5.0, WINDOW_S * 2)
    for frame in list(paths[1].values())[-LATE_FRAMES:]:
        enters.send(frame)  # again, and nobody wants it any more
        expected.late += 1
    wait_quiet((leaves,), len(expected.a | expected.b), 1.0, 1.0)
    # The guest itself leaves the groups of the routes that are gone (IGMP); that is no media.
    return expected, [
        frame for frame in leaves.take() if frame[_DESTINATION] == IPv4Address(NEW_GROUP).packed
    ]


def _wait_out(leaves: Wire, frames: int) -> None:
    """Until so many came out: no NIC has more under way than its ring holds. A lost one must not stop the sender."""
    end_s = time.monotonic() + _PATIENCE_S
    while len(leaves.received) < frames and time.monotonic() < end_s:
        time.sleep(0.0005)


def _report_frames(
    frames: Sequence[bytes], expected: Expected, source: Mapping[int, bytes], report: Report
) -> None:
    numbers = [read_number(frame) for frame in frames]
    wanted = sorted(expected.a | expected.b)
    whole = all(
        frame[_RTP_AT:] == source[number][_RTP_AT:]
        for frame, number in zip(frames, numbers, strict=True)
        if number in source
    )
    state = "unchanged" if whole else "ALTERED"
    text = f"{len(frames)} frames out, {len(wanted)} wanted, {len(set(numbers))} different, {state}"
    report.check("two paths make one flow, each frame once", whole and sorted(numbers) == wanted, text)


def _report_counts(status: Mapping[str, Any], expected: Expected, report: Report) -> None:
    flows = [flow for flow in status["protected"] if flow["name"] == FLOW]
    if len(flows) != 1:
        raise LabError(f"in the guest: the status has {len(flows)} protected flows called {FLOW}")
    seen, wanted = list_counts(flows[0]), expected.list_counts()
    told = ", ".join(f"{count} {name}" for name, count in seen.items())
    wrong = [f"{name} {count} wanted" for name, count in wanted.items() if seen[name] != count]
    report.check(
        "the status counts what each path lost", not wrong, f"{told}; {', '.join(wrong) or 'as sent'}"
    )
