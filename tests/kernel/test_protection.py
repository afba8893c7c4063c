# SPDX-License-Identifier: Apache-2.0
"""ST 2022-7 between real interfaces: the two paths of a capture become one flow, and `status --json` counts every loss.

What is expected is computed here from what was sent, by sets of numbers: nothing of the merge is used.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance_process import Document
from capture_flows import iterate_frames
from path_losses import (
    BEYOND_NS,
    CLASS,
    FRAMES,
    LOSSES,
    NEEDS_CAPTURE,
    WINDOW_NS,
    WITHIN_NS,
    Sent,
    check_frames,
    inject,
    load_path,
    read_port,
)
from studio import wait_for
from two_paths import (
    FLOW,
    GROUPS,
    UDP_PORT,
    Sending,
    TwoPaths,
    read_number,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TwoPaths]:
    """The appliance merges with the window of class C."""
    with TwoPaths.start("paths", tmp_path, **CLASS) as made:
        yield made


def check_observed(document: Document, sent: Sent) -> None:
    """Both paths are observed by themselves."""
    routes = {route["name"]: route for route in document["routes"]}
    for path, numbers in (("A", sent.a), ("B", sent.b)):
        rtp = routes[f"{FLOW} path {path}"]["rtp"]
        assert (rtp["frames"], rtp["other_frames"]) == (len(numbers), 0)
        assert (rtp["expected_frames"], rtp["lost_frames"]) == (sent.all, sent.all - len(numbers))
        assert (rtp["duplicated_frames"], rtp["reordered_frames"], rtp["stray_frames"]) == (0, 0, 0)
        # A frame has a time to the one before, but for the first.
        assert len(numbers) - 1 <= sum(rtp["arrivals"]) <= len(numbers)


@NEEDS_CAPTURE
@pytest.mark.parametrize("skew_ns", [0, WITHIN_NS], ids=["no skew", "B behind A"])
@pytest.mark.parametrize("loss", LOSSES)
def test_within_the_window_only_what_both_lose_is_lost(lab: TwoPaths, loss: str, skew_ns: int) -> None:
    sent = inject(lab, LOSSES[loss], skew_ns)
    document = lab.wait_settled((len(sent.a), len(sent.b)), WINDOW_NS)
    behind = check_frames(lab.collect(), sent.a | sent.b)
    (flow,) = document["protected"]
    a, b = flow["a"], flow["b"]
    both = len(sent.a & sent.b)
    assert a["forwarded_frames"] + b["forwarded_frames"] == len(sent.a | sent.b)
    assert a["merged_frames"] + b["merged_frames"] == both
    for path, numbers in ((a, sent.a), (b, sent.b)):
        assert path["received_frames"] == len(numbers) == path["forwarded_frames"] + path["merged_frames"]
        assert path["lost_frames"] == sent.all - len(numbers)
        assert (path["duplicate_frames"], path["late_frames"], path["outages"]) == (0, 0, 0)
    assert flow["lost_frames"] == sent.all - len(sent.a | sent.b)
    assert flow["filled_frames"] == behind
    assert (flow["stray_frames"], flow["restarts"], flow["ssrc_changes"], flow["silences"]) == (0, 0, 0, 0)
    if not sent.a ^ sent.b:
        assert behind == 0  # order is kept
    if skew_ns:
        assert (a["merged_frames"], b["forwarded_frames"]) == (0, len(sent.b - sent.a))
        assert flow["filled_frames"] == len(sent.b - sent.a)
        assert flow["differential_frames"] == both == sum(flow["leads_a"])
        assert sum(flow["leads_b"]) == 0
        assert flow["differential_min_ns"] > 0
        assert flow["differential_max_ns"] <= WINDOW_NS
    check_observed(document, sent)
    ingress = [read_port(document, f"in-{path}") for path in ("a", "b")]
    assert [port["received_frames"] for port in ingress] == [len(sent.a), len(sent.b)]
    assert [port["merged_frames"] for port in ingress] == [a["merged_frames"], b["merged_frames"]]
    assert not any(count for port in ingress for count in port["dropped_frames"].values())
    assert all(worker["balanced"] for worker in document["workers"])


@NEEDS_CAPTURE
@pytest.mark.parametrize("loss", ["no loss", "loss on A, B and both"])
def test_beyond_the_window_the_slower_path_helps_nobody(lab: TwoPaths, loss: str) -> None:
    sent = inject(lab, LOSSES[loss], BEYOND_NS)
    document = lab.wait_settled((len(sent.a), len(sent.b)), WINDOW_NS)
    assert check_frames(lab.collect(), sent.a) == 0
    (flow,) = document["protected"]
    a, b = flow["a"], flow["b"]
    assert (a["forwarded_frames"], a["late_frames"], a["lost_frames"]) == (
        len(sent.a),
        0,
        sent.all - len(sent.a),
    )
    assert (b["forwarded_frames"], b["merged_frames"]) == (0, 0)
    assert (b["late_frames"], b["lost_frames"]) == (len(sent.b), sent.all)
    assert flow["lost_frames"] == sent.all - len(sent.a)
    assert (flow["filled_frames"], flow["differential_frames"], flow["stray_frames"]) == (0, 0, 0)
    late = read_port(document, "in-b")["dropped_frames"]
    assert {reason: count for reason, count in late.items() if count} == {"merge_late": len(sent.b)}
    check_observed(document, sent)


def find_silent(document: Document) -> list[str]:
    return [
        problem for problem in document["problems"] if f"of flow {FLOW} has sent nothing since" in problem
    ]


class Stream(threading.Thread):
    """Both paths side by side, a frame every 2.5 ms, while the test does something; path B can be cut."""

    def __init__(self, lab: TwoPaths) -> None:
        super().__init__()
        self.frames = load_path(0), load_path(1)
        self.cut, self.ending = threading.Event(), threading.Event()
        self.by_b: list[int] = []
        self.sent = 0
        self._lab = lab

    def run(self) -> None:
        while self.sent < FRAMES and not self.ending.is_set():
            now = [self.frames[0][self.sent]]
            if not self.cut.is_set():
                now.append(self.frames[1][self.sent])
                self.by_b.append(self.sent)
            self._lab.send(Sending(0, path, frame) for path, frame in enumerate(now))
            self.sent += 1
            time.sleep(0.0025)

    def flow(self, frames: int = 200) -> None:
        """Wait until so many more were sent."""
        target = self.sent + frames
        wait_for(lambda: self.sent >= target)

    def finish(self) -> set[int]:
        """End it; the numbers sent."""
        assert self.sent < FRAMES, "the capture ended before the test did"
        self.ending.set()
        self.join()
        return {read_number(frame) for frame in self.frames[0][: self.sent]}


@pytest.fixture
def stream(lab: TwoPaths) -> Iterator[Stream]:
    made = Stream(lab)
    made.start()
    try:
        made.flow()
        yield made
    finally:
        made.ending.set()
        made.join()


@NEEDS_CAPTURE
def test_a_silent_path_is_a_problem_until_it_returns(lab: TwoPaths, stream: Stream) -> None:
    """The flow goes on by the other path; text and JSON say which path is gone, and it ends with a frame."""
    assert find_silent(lab.appliance.status().document) == []
    stream.cut.set()
    lab.appliance.wait_until(lambda seen: find_silent(seen) != [], "told")
    answer = lab.appliance.status()
    (problem,) = find_silent(answer.document)
    assert problem.startswith(f"path B of flow {FLOW} has sent nothing since 20")
    assert "lives by path A alone" in problem
    assert answer.exit_code == 1
    (flow,) = answer.document["protected"]
    assert flow["silent_paths"] == ["B"]
    page = lab.appliance.run("status").stdout
    assert [line.split()[-1] for line in page.splitlines() if line.split()[:1] == ["B"]] == ["SILENT"]
    stream.cut.clear()
    stream.flow()
    numbers = stream.finish()
    document = lab.wait_settled((stream.sent, len(stream.by_b)), WINDOW_NS)
    assert find_silent(document) == []
    assert check_frames(lab.collect(), numbers) == 0
    (flow,) = document["protected"]
    assert (flow["a"]["outages"], flow["b"]["outages"], flow["silences"]) == (0, 1, 0)
    assert (flow["a"]["lost_frames"], flow["b"]["lost_frames"]) == (0, stream.sent - len(stream.by_b))
    assert flow["lost_frames"] == 0


@NEEDS_CAPTURE
def test_an_apply_of_something_else_leaves_the_merge_as_it_is(lab: TwoPaths, stream: Stream) -> None:
    """Frames cross while another route comes and goes: no copy goes out twice, no counter begins anew."""
    text = lab.config(**CLASS)
    other = "- {name: other, match: {port: in-b, group: 239.5.5.5}, observe: rtp, outputs: [out]}\n"
    for generation, config in enumerate((text + other, text, text + other), 2):
        applied = lab.appliance.apply(config)
        assert (applied.returncode, applied.stdout.split()[-1]) == (0, str(generation)), applied.stderr
        stream.flow()
    numbers = stream.finish()
    document = lab.wait_settled((len(numbers), len(numbers)), WINDOW_NS)
    assert check_frames(lab.collect(), numbers) == 0
    (flow,) = document["protected"]
    assert [flow[path]["lost_frames"] for path in "ab"] == [0, 0]
    assert flow["a"]["merged_frames"] + flow["b"]["merged_frames"] == len(numbers)
    check_observed(document, Sent(numbers, numbers))
    routes = {route["name"]: route["rtp"] for route in document["routes"]}
    assert routes["other"]["frames"] == 0


@NEEDS_CAPTURE
def test_flows_without_a_route_are_listed(lab: TwoPaths) -> None:
    """Path A's group arrives at the port of path B: a cable in the wrong hole is seen at once."""
    frames = load_path(0)[:50]
    lab.send(Sending(0, 1, frame) for frame in frames)
    document = lab.appliance.wait_until(
        lambda seen: sum(flow["frames"] for flow in seen["discovered"]) == len(frames), "listed"
    )
    (flow,) = document["discovered"]
    assert (flow["port"], flow["destination"], flow["udp_port"]) == ("in-b", GROUPS[0], UDP_PORT)
    assert (flow["rtp_frames"], flow["bytes"]) == (50, sum(map(len, frames)))
    assert (flow["payload_type"], flow["ssrc"]) == (96, 0x01020304)
    applied = lab.appliance.apply(lab.config(**CLASS).replace("discover: true", "discover: false"))
    assert applied.returncode == 0, applied.stderr
    assert lab.appliance.status().document["discovered"] == []


@NEEDS_CAPTURE
def test_both_paths_of_a_mirrored_flow_are_captured(lab: TwoPaths, tmp_path: Path) -> None:
    """Under the route's name: the copies that went on, by whichever path, as they came in."""
    mirrored = lab.config(**CLASS).replace("  observe:\n", "  mirror: 1\n  observe:\n")
    applied = lab.appliance.apply(mirrored)
    assert applied.returncode == 0, applied.stderr
    frames = [frame for pair in zip(load_path(0)[:40], load_path(1)[:40], strict=True) for frame in pair]
    lab.send(Sending(0, place % 2, frame) for place, frame in enumerate(frames))
    lab.wait_settled((40, 40), 0)
    seen = tmp_path / "seen.pcap"
    done = lab.appliance.run("capture", "-o", str(seen), FLOW)
    assert done.returncode == 0, done.stderr
    captured = [frame for _, frame in iterate_frames(seen)]
    assert sorted(map(read_number, captured)) == sorted({read_number(frame) for frame in frames})
    assert set(captured) <= set(frames)
