# SPDX-License-Identifier: Apache-2.0
"""The network every kernel test uses: a camera, the appliance, and a receiver on each of two outputs.

camera:out0 ── in:appliance:red ── red:receiver
                         └─ blue ── blue:receiver
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from appliance_process import ApplianceProcess, Document
from lab_net import LabNet, Namespace
from media_tools import MediaProcess, MediaSource, Report, start_receiver, start_sender

OUTPUTS = ("red", "blue")
RED_GROUP, BLUE_GROUP = "239.20.1.1", "239.20.1.2"
UDP_PORT = 20000
RING_SLOTS = 8192
STREAM_S = 120.0
MORE_FRAMES = 4320


@dataclass(frozen=True)
class RouteLine:
    """One route of the configuration, in short."""

    group: str
    outputs: Sequence[str]
    udp_port: int = UDP_PORT
    vlan: int | None = None
    inner_vlan: int | None = None

    def as_mapping(self, name: str) -> dict[str, Any]:
        """As config.yaml has it."""
        match: dict[str, Any] = {"port": "in", "group": self.group, "udp_port": self.udp_port}
        match |= {"vlan": self.vlan} if self.vlan is not None else {}
        match |= {"inner_vlan": self.inner_vlan} if self.inner_vlan is not None else {}
        return {"name": name, "match": match, "outputs": list(self.outputs)}


DEFAULT_ROUTES = (RouteLine(RED_GROUP, ["red"]), RouteLine(BLUE_GROUP, ["blue"]))


@dataclass
class Studio:
    """Namespaces, links and an appliance that may or may not run."""

    net: LabNet
    camera: Namespace
    middle: Namespace
    receiver: Namespace
    appliance: ApplianceProcess
    wait: str = "adaptive"
    xdp: dict[str, Any] = field(default_factory=dict)  # of every port
    host_stack: list[str] = field(default_factory=list)  # of the ingress port
    devices: dict[str, str] = field(
        default_factory=lambda: {name: f"xdp:{name}" for name in ("in", *OUTPUTS)}
    )

    @classmethod
    def build(cls, net: LabNet, folder: Path) -> Self:
        """Make namespaces and links; the appliance's files go to `folder`."""
        camera, middle, receiver = (net.add_namespace(role) for role in ("camera", "appliance", "receiver"))
        net.connect(camera, "out0", middle, "in")
        for output in OUTPUTS:
            net.connect(middle, output, receiver, output)
        return cls(net, camera, middle, receiver, ApplianceProcess(net, middle, folder))

    def config(self, routes: Sequence[RouteLine] = DEFAULT_ROUTES) -> str:
        """Text of config.yaml: one worker, a port for every device, these routes."""
        document = {
            "version": 1,
            "workers": [{"name": "main", "wait": self.wait}],
            "ports": [
                {"name": name, "device": device, "ring_slots": RING_SLOTS}
                | ({"xdp": copy.deepcopy(self.xdp)} if self.xdp else {})
                | ({"host_stack": self.host_stack} if self.host_stack and name == "in" else {})
                for name, device in self.devices.items()
            ],
            "routes": [route.as_mapping(f"route-{number}") for number, route in enumerate(routes)],
        }
        return yaml.safe_dump(document, sort_keys=False)

    def start(self, routes: Sequence[RouteLine] = DEFAULT_ROUTES) -> None:
        """Start the appliance; returns when it forwards."""
        self.appliance.start(self.config(routes))

    def listen(
        self, source: MediaSource, expected: Mapping[str, Sequence[str]], outputs: Sequence[str] = OUTPUTS
    ) -> dict[str, MediaProcess]:
        """A witness on each of `outputs` for what `expected` names there; for nothing where it names nothing."""
        return {
            output: start_receiver(self.net, self.receiver, output, source, expected.get(output, []))
            for output in outputs
        }

    def send(self, source: MediaSource, speed: float = 1.0) -> MediaProcess:
        """Start the camera."""
        return start_sender(self.net, self.camera, "out0", source, speed=speed)

    def start_stream(self, speed: float = 0.25, outputs: Sequence[str] = OUTPUTS) -> "Stream":
        """Video that has to come out on red until `Stream.finish`; witnesses on `outputs`."""
        source = MediaSource(format="1080p50", seconds=STREAM_S, group=RED_GROUP)
        witnesses = self.listen(source, {"red": [RED_GROUP]}, outputs)
        stream = Stream(self.send(source, speed), witnesses)
        stream.wait_flowing()
        return stream

    def transmit(
        self, source: MediaSource, expected: Mapping[str, Sequence[str]], speed: float = 1.0
    ) -> tuple[int, dict[str, Report]]:
        """Send all of `source`; frames sent and every witness's report."""
        witnesses = self.listen(source, expected)
        sent = int(self.send(source, speed).report()["sent_frames"])
        # Those that expect something end by themselves; the others had the same time to see a stray frame.
        order = sorted(witnesses, key=lambda output: not expected.get(output))
        return sent, {name: witnesses[name].finish(5.0 if expected.get(name) else 0.3) for name in order}

    def ingress(self) -> Document:
        """Counters of the ingress port from the status document (read from the state segment without a daemon)."""
        document = self.appliance.fetch_status() or self.appliance.status().document
        record: Document = next(port for port in document["ports"] if port["name"] == "in")
        return record


@dataclass
class Stream:
    """Media that flows while a test does something."""

    sender: MediaProcess
    witnesses: dict[str, MediaProcess]

    def wait_flowing(self) -> None:
        """Until frames are seen at a witness, and some more."""
        wait_for(lambda: any(seen.progress.get("received_frames", 0) for seen in self.witnesses.values()))
        self.wait_more()

    def wait_more(self) -> None:
        """Until another picture was sent, so that frames are on their way before and after what a test does."""
        start = self.sender.progress.get("sent_frames", 0)
        wait_for(lambda: self.sender.progress.get("sent_frames", 0) > start + MORE_FRAMES)

    def finish(self) -> tuple[int, dict[str, Report]]:
        """End it: frames sent and every witness's report (never `passed`: the source is longer than what was sent)."""
        assert self.sender.running, "the stream ended by itself; make STREAM_S longer"
        self.wait_more()
        self.sender.stop()
        sent = int(self.sender.report()["sent_frames"])
        return sent, {output: witness.finish(0.5) for output, witness in self.witnesses.items()}


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait until `condition`; AssertionError after the time limit."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "no progress"
        time.sleep(0.02)


def check_all_arrived(sent_frames: int, reports: Mapping[str, Report], outputs: Sequence[str]) -> None:
    """Every frame sent came out of each of `outputs` once, in order, unchanged; and nothing anywhere else."""
    for output, report in reports.items():
        wanted = sent_frames if output in outputs else 0
        assert report["witness_dropped_frames"] == 0, f"the witness on {output} was too slow: {report}"
        assert report["received_frames"] == report["intact_frames"] == wanted, f"{output}: {report}"
        assert report["overdue_frames"] == report["reordered_frames"] == 0, f"{output}: {report}"
