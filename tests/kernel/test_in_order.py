# SPDX-License-Identifier: Apache-2.0
"""ST 2022-7 released in order between real interfaces: what one path loses leaves in its place.

What is expected is computed from what was sent (`path_losses`).
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance_process import Document
from path_losses import (
    BEYOND_NS,
    CLASS,
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
from two_paths import FLOW, Sending, TwoPaths, read_number

# 450 ms of 8,000 frames a second, and a quarter; of 2,048 bytes, and 32 to know what is in them.
HOLD_FRAMES = 3601 + 3601 // 4
HOLD_BUFFERS = HOLD_FRAMES + 1024
ORDERED = {**CLASS, "release": "in-order"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TwoPaths]:
    """The appliance merges with the window of class C and releases in order."""
    with TwoPaths.start("ordered", tmp_path, **ORDERED) as made:
        yield made


def check_order(lab: TwoPaths, wanted: set[int]) -> None:
    """All that left came in order, each once. What waited leaves at once: more than the kernel queues between two
    namespaces (net.core.netdev_max_backlog), which counts what it then drops.
    """
    frames = lab.collect()
    dropped = lab.net.read_dropped_frames(lab.behind, "out")
    numbers = [read_number(frame) for frame in frames]
    assert read_port(lab.appliance.status().document, "out")["transmitted_frames"] == len(wanted)
    assert len(wanted) - dropped <= len(frames) <= len(wanted)
    assert check_frames(frames, set(numbers)) == 0  # none behind a newer one
    assert set(numbers) <= wanted


def check_account(document: Document, sent: Sent) -> None:
    """Nothing is held any more; nothing was copied, dropped or is not accounted for."""
    ports = [read_port(document, name) for name in ("in-a", "in-b", "out")]
    assert [port["received_frames"] for port in ports] == [len(sent.a), len(sent.b), 0]
    assert [port["held_frames"] for port in ports] == [0, 0, 0]
    assert [(port["hold_buffers"], port["hold_bytes"]) for port in ports] == [
        (HOLD_BUFFERS, HOLD_BUFFERS * 2080)
    ] * 3
    assert ports[2]["copied_frames"] == ports[2]["tx_full_frames"] == 0
    assert all(worker["balanced"] for worker in document["workers"])
    assert document["workers"][0]["account"]["held_frames"] == 0


@NEEDS_CAPTURE
@pytest.mark.parametrize("loss", ["no loss", "loss on A, B and both"])
def test_order_is_kept_within_the_window(lab: TwoPaths, loss: str) -> None:
    sent = inject(lab, LOSSES[loss], WITHIN_NS)
    document = lab.wait_settled((len(sent.a), len(sent.b)), WINDOW_NS)
    check_order(lab, sent.a | sent.b)
    (flow,) = document["protected"]
    a, b = flow["a"], flow["b"]
    assert (a["forwarded_frames"], b["forwarded_frames"]) == (len(sent.a), len(sent.b - sent.a))
    assert (a["late_frames"], b["late_frames"], b["merged_frames"]) == (0, 0, len(sent.a & sent.b))
    assert flow["lost_frames"] == sent.all - len(sent.a | sent.b)
    assert (flow["held_frames"], flow["skipped_frames"], flow["stray_frames"]) == (0, 0, 0)
    # 350 ms of 125 µs each are on their way by path B: so many wait for it.
    waited = flow["most_held_frames"]
    assert waited <= HOLD_FRAMES
    assert (waited > 1000) == (loss != "no loss")
    check_account(document, sent)
    assert not any(
        count for name in ("in-a", "in-b") for count in read_port(document, name)["dropped_frames"].values()
    )
    page = " ".join(lab.appliance.run("status").stdout.split())
    assert f"main: 0 frames held now, in {HOLD_BUFFERS:,} buffers, {HOLD_BUFFERS * 2080:,} bytes" in page
    assert (f"held 0 (most {waited:,}, skipped 0)" in page) == (waited > 0)


@NEEDS_CAPTURE
def test_beyond_the_window_holes_are_given_up(lab: TwoPaths) -> None:
    """Path A's frames wait for a window at each hole and leave in order; path B is late."""
    sent = inject(lab, LOSSES["loss on A"], BEYOND_NS)
    document = lab.wait_settled((len(sent.a), len(sent.b)), WINDOW_NS)
    check_order(lab, sent.a)
    (flow,) = document["protected"]
    assert (flow["b"]["late_frames"], flow["lost_frames"]) == (len(sent.b), sent.all - len(sent.a))
    assert flow["most_held_frames"] > 1000
    late = read_port(document, "in-b")["dropped_frames"]
    assert {reason: count for reason, count in late.items() if count} == {"merge_late": len(sent.b)}
    check_account(document, sent)


def wait_held(lab: TwoPaths, frames: int) -> Document:
    return lab.appliance.wait_until(
        lambda seen: seen["workers"][0]["account"]["held_frames"] == frames, f"{frames} frames held"
    )


def wait_until_up(lab: TwoPaths, name: str, up: bool) -> None:
    wait_for(lambda: (read_port(lab.appliance.status().document, name)["state"] == "up") == up)


@NEEDS_CAPTURE
def test_an_idle_worker_gives_up_in_time(lab: TwoPaths) -> None:
    """Nothing comes any more: the loop, asleep, wakes for the window's end. Status says what is held meanwhile."""
    frames = load_path(0)[:40]
    lab.send(Sending(0, 0, frame) for place, frame in enumerate(frames) if place != 10)
    numbers = {read_number(frame) for frame in frames} - {read_number(frames[10])}
    assert check_frames(lab.collect(), numbers) == 0
    document = wait_held(lab, 0)
    assert document["protected"][0]["most_held_frames"] == 29


@NEEDS_CAPTURE
def test_ports_that_are_lost_lose_no_buffers(lab: TwoPaths) -> None:
    """While frames are held the output, then an input, goes down and returns: afterwards all is as it was."""
    frames = load_path(0)
    for name, part in (("out", frames[:1500]), ("in-b", frames[1500:3000])):
        ending = threading.Event()

        def flow(ending: threading.Event = ending, part: list[bytes] = part) -> None:
            for place, frame in enumerate(part):
                if place % 10 != 3 and not ending.is_set():
                    lab.send([Sending(0, 0, frame)])
                    time.sleep(0.0005)

        sender = threading.Thread(target=flow)
        sender.start()
        try:
            lab.appliance.wait_until(
                lambda seen: seen["workers"][0]["account"]["held_frames"] > 100, "frames are held"
            )
            lab.net.run(lab.middle, ["ip", "link", "set", name, "down"])
            wait_until_up(lab, name, False)
            lab.net.run(lab.middle, ["ip", "link", "set", name, "up"])
            wait_until_up(lab, name, True)
        finally:
            ending.set()
            sender.join()
        document = wait_held(lab, 0)
        assert all(worker["balanced"] for worker in document["workers"])
    before = lab.appliance.status().document["workers"][0]["account"]
    before_sent = read_port(lab.appliance.status().document, "out")["transmitted_frames"]
    lab.collect()
    time.sleep(WINDOW_NS / 1e9)
    more = frames[3000:]
    lab.send(Sending(place * 125_000, 0, frame) for place, frame in enumerate(more))
    lab.appliance.wait_until(
        lambda seen: (
            seen["workers"][0]["account"]["received_frames"] == before["received_frames"] + len(more)
        ),
        "the rest came",
    )
    time.sleep(2 * WINDOW_NS / 1e9)
    came = lab.collect()
    assert check_frames(came, {read_number(frame) for frame in came}) == 0
    sent = read_port(lab.appliance.status().document, "out")["transmitted_frames"] - before_sent
    assert sent == len(more) >= len(came) >= len(more) - lab.net.read_dropped_frames(lab.behind, "out")


@NEEDS_CAPTURE
def test_more_frames_to_hold_need_a_restart(lab: TwoPaths) -> None:
    """Buffers are taken at the start: what needs more says how much more, what needs less changes nothing."""
    less = lab.appliance.apply(lab.config(**{"class": "A"}, release="in-order"))
    assert less.returncode == 0, less.stderr
    more = lab.config(**ORDERED).replace("frames_per_s: 8000", "frames_per_s: 80000")
    refused = lab.appliance.apply(more)
    assert refused.returncode == 5
    assert f"hold {HOLD_FRAMES:,} → 45,001 frames" in refused.stderr.replace("\n", " ")
    assert [flow["name"] for flow in lab.appliance.status().document["protected"]] == [FLOW]
