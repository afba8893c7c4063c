# SPDX-License-Identifier: Apache-2.0
"""A sender with two ways into the appliance, and what comes out: ST 2022-7 between real interfaces.

sender:out-a ── in-a:appliance:out ── out:receiver
sender:out-b ── in-b

Losses and skew are the sender's: it sends exactly the frames it is told, each no earlier than its time.
"""

import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from appliance_process import ApplianceProcess, Document
from lab_net import LabNet, Namespace

PATHS = ("a", "b")
RTP_AT = 14 + 20 + 8
GROUPS = ("239.1.2.1", "239.1.2.2")
UDP_PORT = 6000
NEW_GROUP, NEW_MAC = "239.99.1.1", bytes.fromhex("01005e630101")  # RFC 1112, 6.4
FLOW = "audio"
RING_SLOTS = 16384
NS_PER_S = 1_000_000_000

_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33
_CLONE_NEWNET = 0x40000000
_RECEIVE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sending:
    """A frame and when it leaves by path 0 (A) or 1 (B), in ns from the beginning."""

    due_ns: int
    path: int
    frame: bytes


def load_paths(capture: Path, frames: int) -> list[dict[int, bytes]]:
    """RTP number → frame, of both paths, of the first `frames` numbers both paths have. No wrap is in them."""
    found: list[dict[int, bytes]] = [{}, {}]
    data = capture.read_bytes()
    at = 24
    while at < len(data):
        (captured,) = struct.unpack_from("<8xI", data, at)
        frame = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        found[GROUPS.index(socket.inet_ntoa(frame[30:34]))][read_number(frame)] = frame
    first = max(min(path) for path in found)
    numbers = range(first, first + frames)
    return [{number: path[number] for number in numbers} for path in found]


def read_number(frame: bytes) -> int:
    """The RTP sequence number (RFC 3550, 5.1)."""
    return int.from_bytes(frame[RTP_AT + 2 : RTP_AT + 4], "big")


def open_socket(namespace: Namespace, interface: str) -> socket.socket:
    """A packet socket at an interface of another namespace: only the thread that opens it goes there (setns(2))."""
    opened: list[socket.socket | OSError] = []

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{namespace.name}").open() as place:
            if libc.setns(place.fileno(), _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                opened.append(OSError(number, os.strerror(number)))
                return
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
            made.bind((interface, _ETH_P_ALL))
            opened.append(made)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(opened[0], OSError):
        raise opened[0]
    return opened[0]


@dataclass
class TwoPaths:
    """Namespaces, links, sockets at their ends, and an appliance that does not run yet."""

    net: LabNet
    appliance: ApplianceProcess
    senders: list[socket.socket]
    receiver: socket.socket
    middle: Namespace
    """The appliance's."""
    behind: Namespace
    """The receiver's."""

    @classmethod
    def build(cls, net: LabNet, folder: Path) -> Self:
        """Make namespaces and links; the appliance's files go to `folder`."""
        sender, middle, receiver = (net.add_namespace(role) for role in ("sender", "appliance", "receiver"))
        for path in PATHS:
            net.connect(sender, f"out-{path}", middle, f"in-{path}")
        net.connect(middle, "out", receiver, "out")
        senders = [open_socket(sender, f"out-{path}") for path in PATHS]
        return cls(
            net,
            ApplianceProcess(net, middle, folder),
            senders,
            open_socket(receiver, "out"),
            middle,
            receiver,
        )

    @classmethod
    @contextmanager
    def start(cls, name: str, folder: Path, **protect: Any) -> Iterator[Self]:
        """Namespaces of their own, in which the appliance runs with `config(**protect)`."""
        with LabNet(name) as net:
            made = cls.build(net, folder)
            try:
                made.appliance.start(made.config(**protect))
                yield made
            finally:
                made.close()

    def close(self) -> None:
        """Close the sockets; the namespaces end with `net`."""
        for opened in (*self.senders, self.receiver):
            opened.close()

    def config(self, **protect: Any) -> str:
        """Text of config.yaml: the two paths of FLOW to one flow, observed."""
        paths: dict[str, Any] = {
            path: {"port": f"in-{path}", "group": group, "udp_port": UDP_PORT}
            for path, group in zip(PATHS, GROUPS, strict=True)
        }
        route = {
            "name": FLOW,
            "protect": paths | {"frames_per_s": 8000} | protect,
            "observe": {"arrivals": True},
            "outputs": [{"port": "out", "group": NEW_GROUP}],
        }
        ports = [
            {"name": name, "device": f"xdp:{name}", "ring_slots": RING_SLOTS}
            for name in ("in-a", "in-b", "out")
        ]
        return yaml.safe_dump(
            {"version": 1, "discover": True, "ports": ports, "routes": [route]}, sort_keys=False
        )

    def send(self, sendings: Iterable[Sending]) -> None:
        """Send everything in the order of its time; a late sender only sends later."""
        start_ns = time.monotonic_ns()
        for sending in sorted(sendings, key=lambda sending: sending.due_ns):
            early_ns = sending.due_ns - (time.monotonic_ns() - start_ns)
            if early_ns > 0:
                time.sleep(early_ns / NS_PER_S)
            self.senders[sending.path].send(sending.frame)

    def collect(self) -> list[bytes]:
        """Frames that have come out so far, in their order."""
        frames = []
        self.receiver.settimeout(0.5)
        while True:
            try:
                frames.append(self.receiver.recv(2048))
            except TimeoutError:
                return frames

    def protected(self) -> Document:
        """The flow in `appliance status --json`."""
        document = self.appliance.status().document
        (record,) = (flow for flow in document["protected"] if flow["name"] == FLOW)
        found: Document = record
        return found

    def wait_settled(self, received: Sequence[int], window_ns: int) -> Document:
        """The status once all frames that were sent have come to the merge and the window of the last has passed."""

        def settled(document: Document) -> bool:
            flows = [flow for flow in document["protected"] if flow["name"] == FLOW]
            seen = [[flow[path]["received_frames"] for path in PATHS] for flow in flows]
            return seen == [list(received)]

        self.appliance.wait_until(settled, f"at {received} frames", timeout_s=20)
        # Losses are told when their window has passed, and the counters of merges every tenth of a second.
        time.sleep(window_ns / NS_PER_S + 0.5)
        return self.appliance.status().document
