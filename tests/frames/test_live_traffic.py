# SPDX-License-Identifier: Apache-2.0
"""The loop in its own thread, as in a worker process: law 5 in every snapshot, tables that change under way."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path

from appliance.fastpath import FrameKey, NativeError, PortCounters, Route, RouteTable, names

from .frame_builder import build_media_frame
from .rig import DIGEST, Rig
from .waiting import wait_until

GROUP = IPv4Address("239.1.2.1")
OTHER = IPv4Address("239.1.2.2")
FRAMES = 20_000
GENERATIONS = 1000
RING_SLOTS = 256
PUBLISHER = Path(__file__).with_name("publisher_process.py")


@contextmanager
def running_loop(tmpfs: Path, port_count: int) -> Iterator[Rig]:
    with Rig(tmpfs / "state", [0] * port_count, RING_SLOTS, [2048]) as rig, ExitStack() as stack:
        thread = threading.Thread(target=rig.worker.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(rig.state.request_stop)
        yield rig


def inject_when_free(rig: Rig, frame: bytes) -> None:
    wait_until(lambda: inject_if_free(rig, frame))


def inject_if_free(rig: Rig, frame: bytes) -> bool:
    try:
        rig.ports[0].inject(frame)
    except NativeError as error:
        if error.code != names.E_TABLE_FULL:
            raise
        return False
    return True


def check_snapshot(seen: PortCounters) -> None:
    dropped = sum(seen.dropped_frames.values())
    assert (
        seen.received_frames
        == seen.forwarded_frames + seen.merged_frames + seen.to_host_frames + seen.held_frames + dropped
    )
    assert seen.offered_frames == seen.transmitted_frames + seen.tx_full_frames + seen.tx_too_long_frames
    assert seen.transmitted_frames == seen.swapped_frames + seen.copied_frames


def test_law_5_in_every_snapshot(tmpfs: Path) -> None:
    """A reader looks all the time; half of the frames have no route, some find the output full."""
    done = threading.Event()
    failures: list[BaseException] = []
    looks = count()
    with running_loop(tmpfs, 2) as rig:

        def look() -> None:
            try:
                while not done.is_set():
                    for index in (0, 1):
                        check_snapshot(rig.state.read_port(index))
                    next(looks)
            except BaseException as error:
                failures.append(error)

        with RouteTable.build([Route.exact(FrameKey(0, GROUP, 6000), (1,), 0)]) as table:
            rig.state.publish(table, 1, DIGEST)
        wait_until(lambda: rig.state.read_worker().generation == 1)
        reader = threading.Thread(target=look)
        reader.start()
        collected = 0
        for number in range(FRAMES):
            inject_when_free(rig, build_media_frame(OTHER if number % 2 else GROUP, 6000, b"media"))
            if number % 512 == 0:
                collected += len(rig.ports[1].collect_all())
        wait_until(lambda: rig.state.read_port(0).received_frames == FRAMES)
        done.set()
        reader.join()
        ingress, egress = rig.state.read_port(0), rig.state.read_port(1)
        collected += len(rig.ports[1].collect_all())
    assert failures == []
    assert next(looks) > 100
    check_snapshot(ingress)
    assert ingress.dropped_frames["no_route"] == FRAMES / 2
    assert egress.offered_frames == FRAMES / 2
    assert egress.transmitted_frames == collected


def test_no_frame_is_lost_or_doubled_while_tables_change(tmpfs: Path) -> None:
    """Every frame comes out once, in order, on the output of the old table or of the new one."""
    sent: list[bytes] = []
    outputs: list[list[bytes]] = [[], []]
    with ExitStack() as stack, running_loop(tmpfs, 3) as rig:

        def collect() -> None:
            for output in (0, 1):
                outputs[output] += rig.ports[output + 1].collect_all()

        publisher = subprocess.Popen([sys.executable, "-P", PUBLISHER, rig.state.path, str(GENERATIONS)])
        stack.callback(publisher.wait)
        stack.callback(publisher.kill)
        wait_until(lambda: rig.state.read_worker().generation > 0)
        while publisher.poll() is None:
            sent.append(build_media_frame(GROUP, 6000, len(sent).to_bytes(4, "big")))
            inject_when_free(rig, sent[-1])
            # Never more under way than an output holds: a frame that is missing was lost by the loop.
            while len(sent) - len(outputs[0]) - len(outputs[1]) > RING_SLOTS // 4:
                collect()
        assert publisher.returncode == 0
        assert rig.state.read_worker().generation == GENERATIONS
        wait_until(lambda: rig.state.read_port(0).received_frames == len(sent))
        rig.state.request_stop()
        wait_until(lambda: not rig.state.read_worker().running)
        collect()
        dropped = {
            reason: frames for reason, frames in rig.state.read_port(0).dropped_frames.items() if frames
        }
    assert dropped == {}
    assert sorted(outputs[0] + outputs[1]) == sent
    for frames in outputs:
        assert frames
        assert frames == sorted(frames)
