# SPDX-License-Identifier: Apache-2.0
"""Frames the worker was too slow for: lost in the kernel, and told nevertheless."""

import os
import signal

from media_tools import MediaSource
from studio import RED_GROUP, Studio

# More than a ring of 4,096 slots takes: 0.1 s are 21,600 frames.
VIDEO = MediaSource(format="1080p50", seconds=0.1, group=RED_GROUP)


def test_frames_lost_before_a_full_ring_are_told(forwarding: Studio) -> None:
    worker = forwarding.appliance.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    try:
        sender = forwarding.send(VIDEO)
        sent = int(sender.report()["sent_frames"])
    finally:
        os.kill(worker, signal.SIGCONT)
    # A problem is told from the daemon's second look on, some seconds after it began.
    document = forwarding.appliance.wait_until(lambda seen: bool(seen["problems"]), "telling", timeout_s=30)
    (ingress,) = (port for port in document["ports"] if port["missed_frames"])
    assert ingress["received_frames"] + ingress["missed_frames"] == sent
    assert ingress["received_frames"] == ingress["forwarded_frames"]
    (problem,) = document["problems"]
    assert f"{ingress['missed_frames']} frames were lost before its RX ring" in problem
