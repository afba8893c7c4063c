# SPDX-License-Identifier: Apache-2.0
"""One phase of the demo: witnesses listen, the sender sends, the account is compared."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from appliance_process import ApplianceProcess, ApplianceProcessError, Document
from demo_plan import INGRESS, OUTPUTS, Phase, render_config
from lab_net import LabNet, Namespace
from media_tools import MediaProcess, Report, start_receiver, start_sender

LOOK_INTERVAL_S = 0.25
CAMERA = "camera"
FAULTS = ("missing", "duplicated", "reordered", "corrupt", "stray", "witness_dropped")


@dataclass(frozen=True)
class Placement:
    """CPUs of the two busy processes; None where there is one CPU. The sender also runs the ingress softirq."""

    sender_cpu: int | None
    worker_cpu: int | None


@dataclass(frozen=True)
class Lab:
    """The three namespaces and the appliance in the middle one."""

    net: LabNet
    sender: Namespace
    middle: Namespace
    receiver: Namespace
    appliance: ApplianceProcess
    placement: Placement

    def read_ingress(self) -> Document:
        """Counters of the ingress port, since the appliance's start."""
        document = self.appliance.fetch_status()
        if document is None:
            raise ApplianceProcessError(f"the appliance does not answer: {self.appliance.output()}")
        record: Document = next(port for port in document["ports"] if port["name"] == INGRESS)
        return record

    def read_no_room_frames(self) -> int:
        """Frames the kernel dropped before the appliance, because its ring was full."""
        return self.net.read_dropped_frames(self.middle, INGRESS)


@dataclass
class PhaseState:
    """What is known about a phase while it runs; counts are frames. `problems` is complete at its end."""

    phase: Phase
    frames: int = 0
    sent: int = 0
    kpps: float = 0.0
    slipped_s: float = 0.0
    received: int = 0
    forwarded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    no_room: int = 0
    outputs: dict[str, Report] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    finished: bool = False


Look = Callable[[PhaseState], None]


def plan_placement() -> Placement:
    """The first and the last CPU this process may use."""
    cpus = sorted(os.sched_getaffinity(0))
    return Placement(cpus[0], cpus[-1]) if len(cpus) > 1 else Placement(None, None)


@contextmanager
def open_lab(phases: list[Phase], folder: Path) -> Iterator[Lab]:
    """Namespaces, links and a forwarding appliance; all of it is gone when the block is left."""
    with LabNet("demo") as net:
        sender, middle, receiver = (net.add_namespace(role) for role in ("sender", "appliance", "receiver"))
        net.connect(sender, CAMERA, middle, INGRESS)
        for output in OUTPUTS:
            net.connect(middle, output, receiver, output)
        placement = plan_placement()
        appliance = ApplianceProcess(net, middle, folder)
        try:
            appliance.start(render_config(phases, placement.worker_cpu))
            yield Lab(net, sender, middle, receiver, appliance, placement)
        finally:
            with contextlib.suppress(ApplianceProcessError):
                appliance.stop()


class PhaseRun:
    """Sender and witnesses of one phase. Counters of the appliance are taken from the phase's start."""

    def __init__(self, lab: Lab, phase: Phase, speed: float) -> None:
        self._lab = lab
        self.state = PhaseState(phase)
        self._before = lab.read_ingress()
        self._no_room_before = lab.read_no_room_frames()
        self._witnesses = {
            output: start_receiver(
                lab.net, lab.receiver, output, phase.source, [f"{group}:{port}" for group, port in flows]
            )
            for output, flows in phase.expected.items()
        }
        cpu = lab.placement.sender_cpu
        self._sender: MediaProcess = start_sender(
            lab.net, lab.sender, CAMERA, phase.source, speed=speed, cpu=cpu
        )

    def run(self, look: Look) -> PhaseState:
        """To the end; `look` is called as it goes."""
        while self._sender.running:
            time.sleep(LOOK_INTERVAL_S)
            self._observe()
            look(self.state)
        self._finish()
        look(self.state)
        return self.state

    def _finish(self) -> None:
        self._sender.report()
        expected = self.state.phase.expected
        # Those that expect something end by themselves; the others had the same time to see a stray frame.
        for output in sorted(self._witnesses, key=lambda name: not expected[name]):
            self._witnesses[output].finish(3.0 if expected[output] else 0.3)
        self._observe()
        self.state.problems = find_problems(self.state)
        self.state.finished = True

    def _observe(self) -> None:
        # Against the way of the frames, so that no later place shows more than an earlier one.
        state, before = self.state, self._before
        state.outputs = {output: witness.progress for output, witness in self._witnesses.items()}
        now = self._lab.read_ingress()
        state.received = now["received_frames"] - before["received_frames"]
        state.forwarded = now["forwarded_frames"] - before["forwarded_frames"]
        dropped = {
            name: count - before["dropped_frames"][name] for name, count in now["dropped_frames"].items()
        }
        state.dropped = {name: count for name, count in dropped.items() if count}
        state.no_room = self._lab.read_no_room_frames() - self._no_room_before
        sender = self._sender.progress
        state.frames, state.sent = int(sender.get("frames", 0)), int(sender.get("sent_frames", 0))
        state.kpps, state.slipped_s = float(sender.get("kpps", 0.0)), float(sender.get("slipped_s", 0.0))


def find_problems(state: PhaseState) -> list[str]:
    """Everything that is not as it has to be, in words; empty where every frame is accounted for."""
    problems = []
    if state.sent != state.frames:
        problems.append(f"sent {state.sent} of {state.frames} frames")
    if state.received != state.sent:
        problems.append(
            f"the appliance received {state.received} of {state.sent} frames; for {state.no_room} its ring was full: "
            "the machine is too busy or too slow, try --speed 0.5"
        )
    if state.forwarded != state.received:
        problems.append(
            f"the appliance forwarded {state.forwarded} of {state.received} frames, dropped {state.dropped}"
        )
    for output, report in state.outputs.items():
        if not report["passed"]:
            counts = {kind: report[f"{kind}_frames"] for kind in FAULTS if report[f"{kind}_frames"]}
            problems.append(f"output {output}: {counts}; first: {report['first_fault'] or 'none'}")
    return problems
