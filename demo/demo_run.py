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
    receiver: Namespace
    appliance: ApplianceProcess
    placement: Placement


@dataclass
class PhaseState:
    """What is known about a phase while it runs; frames. `problems` is complete at its end."""

    phase: Phase
    frames: int = 0
    sent: int = 0
    kpps: float = 0.0
    received: int = 0
    forwarded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
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
        net.connect(sender, "camera", middle, INGRESS)
        for output in OUTPUTS:
            net.connect(middle, output, receiver, output)
        placement = plan_placement()
        appliance = ApplianceProcess(net, middle, folder)
        try:
            appliance.start(render_config(phases, placement.worker_cpu))
            yield Lab(net, sender, receiver, appliance, placement)
        finally:
            with contextlib.suppress(ApplianceProcessError):
                appliance.stop()


def run_phase(lab: Lab, phase: Phase, speed: float, look: Look) -> PhaseState:
    """Send one source through the appliance and judge what came of it; `look` is called as it goes."""
    state = PhaseState(phase)
    before = _read_account(lab.appliance)
    witnesses = {
        output: start_receiver(
            lab.net, lab.receiver, output, phase.source, [f"{group}:{port}" for group, port in flows]
        )
        for output, flows in phase.expected.items()
    }
    sender = start_sender(
        lab.net, lab.sender, "camera", phase.source, speed=speed, cpu=lab.placement.sender_cpu
    )
    while sender.running:
        time.sleep(LOOK_INTERVAL_S)
        _observe(state, lab.appliance, before, sender, witnesses)
        look(state)
    _finish(state, lab.appliance, before, sender, witnesses)
    look(state)
    return state


def _finish(
    state: PhaseState,
    appliance: ApplianceProcess,
    before: Document,
    sender: MediaProcess,
    witnesses: dict[str, MediaProcess],
) -> None:
    sender.report()
    # Those that expect something end by themselves; the others had the same time to see a stray frame.
    for output, witness in sorted(witnesses.items(), key=lambda item: not state.phase.expected[item[0]]):
        state.outputs[output] = witness.finish(3.0 if state.phase.expected[output] else 0.3)
    _observe(state, appliance, before, sender, witnesses)
    state.problems = find_problems(state)
    state.finished = True


def _observe(
    state: PhaseState,
    appliance: ApplianceProcess,
    before: Document,
    sender: MediaProcess,
    witnesses: dict[str, MediaProcess],
) -> None:
    state.frames = int(sender.progress.get("frames", 0))
    state.sent = int(sender.progress.get("sent_frames", 0))
    state.kpps = float(sender.progress.get("kpps", 0.0))
    state.outputs = {output: witness.progress for output, witness in witnesses.items()}
    now = _read_account(appliance)
    state.received = now["received_frames"] - before["received_frames"]
    state.forwarded = now["forwarded_frames"] - before["forwarded_frames"]
    drops = (
        (reason, frames - before["dropped_frames"][reason])
        for reason, frames in now["dropped_frames"].items()
    )
    state.dropped = {reason: frames for reason, frames in drops if frames}


def _read_account(appliance: ApplianceProcess) -> Document:
    document = appliance.fetch_status()
    if document is None:
        raise ApplianceProcessError(f"the appliance does not answer: {appliance.output()}")
    record: Document = next(port for port in document["ports"] if port["name"] == INGRESS)
    return record


def find_problems(state: PhaseState) -> list[str]:
    """Everything that is not as it has to be, in words; empty where every frame is accounted for."""
    problems = []
    if state.sent != state.frames:
        problems.append(f"sent {state.sent} of {state.frames} frames")
    if state.received != state.sent:
        problems.append(f"the appliance received {state.received} of {state.sent} frames sent")
    if state.forwarded != state.received:
        problems.append(
            f"the appliance forwarded {state.forwarded} of {state.received}, dropped {state.dropped}"
        )
    for output, report in state.outputs.items():
        if not report["passed"]:
            kinds = ("missing", "duplicated", "reordered", "corrupt", "stray", "witness_dropped")
            counts = {kind: report[f"{kind}_frames"] for kind in kinds if report[f"{kind}_frames"]}
            problems.append(f"output {output}: {counts}; first: {report['first_fault'] or 'none'}")
    return problems
