# SPDX-License-Identifier: Apache-2.0
"""What the demo sends and where it has to go: pure decisions, no process is started here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from capture_flows import CapturedFlow, load_flows
from media_tools import MediaSource

INGRESS = "in"
OUTPUTS = ("red", "blue")
RING_SLOTS = 8192
"""38 ms of 1080p50: on a busy machine with two CPUs the scheduler was seen to keep a process waiting for 16."""

WAIT = "poll"
"""For 1080p50 the worker then takes half a CPU, spinning (adaptive) four fifths: sender and witnesses need some too."""

Flow = tuple[str, int]
"""Group and UDP port."""


@dataclass(frozen=True)
class Phase:
    """One thing that is sent; `expected`: which flows have to come out at each output, and nowhere else."""

    name: str
    source: MediaSource
    expected: dict[str, tuple[Flow, ...]]


def plan_phases(captures: Path | None, video_format: str, seconds: float) -> list[Phase]:
    """Every capture of the folder (None: no captures), then generated video.

    The flows of a source go to the outputs in turn, sorted by group: of two ST 2022-7 paths, path A leaves on
    red and path B on blue.
    """
    files = sorted(captures.glob("*.pcap")) if captures is not None else []
    phases = [_plan_capture(path, load_flows(path)) for path in files]
    video = MediaSource(format=video_format, seconds=seconds)
    name = f"{video_format}, {seconds:g} s generated"
    return [*phases, Phase(name, video, _share_out([(video.group, video.udp_port)]))]


def _plan_capture(path: Path, flows: Sequence[CapturedFlow]) -> Phase:
    return Phase(
        path.name, MediaSource(capture=path), _share_out((flow.group, flow.udp_port) for flow in flows)
    )


def _share_out(flows: Iterable[Flow]) -> dict[str, tuple[Flow, ...]]:
    ordered = list(flows)
    return {output: tuple(ordered[place :: len(OUTPUTS)]) for place, output in enumerate(OUTPUTS)}


def render_config(phases: Sequence[Phase], worker_cpu: int | None) -> str:
    """The appliance's configuration: three xdp ports, one worker, a route for every flow of every phase."""
    outputs = {flow: output for phase in phases for output, flows in phase.expected.items() for flow in flows}
    worker: dict[str, object] = {"name": "main", "wait": WAIT}
    if worker_cpu is not None:
        worker["cpu"] = worker_cpu
    config = {
        "version": 1,
        "workers": [worker],
        "ports": [
            {"name": name, "device": f"xdp:{name}", "ring_slots": RING_SLOTS} for name in (INGRESS, *OUTPUTS)
        ],
        "routes": [
            {
                "name": f"{group}-{udp_port}",
                "match": {"port": INGRESS, "group": group, "udp_port": udp_port},
                "outputs": [output],
            }
            for (group, udp_port), output in sorted(outputs.items())
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)
