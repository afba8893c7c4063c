# SPDX-License-Identifier: Apache-2.0
"""What the daemon tells a worker to open, and the files the two share below the runtime directory.

The daemon makes a spec of the configuration (`build_worker_spec`) and writes it as `spec.json`
(`render_worker_spec`); the worker reads it (`load_worker_spec`). `WorkerFiles` says where the files are.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.config.holding import plan_hold_frames
from appliance.config.host_stack import HostClass
from appliance.config.schema import (
    Config,
    DeviceField,
    DeviceKind,
    Name,
    Port,
    RingSlots,
    WaitMode,
    XdpOptions,
)
from appliance.errors import WorkerError

# Tells a worker to read memberships.json again. Workers of earlier versions ignore it, so that the daemon of an upgrade
# may send it to any.
MEMBERSHIPS_CHANGED = signal.SIGHUP


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PortSpec(_Section):
    """A port to open: the fields of the configuration, with the defaults made explicit."""

    name: Name
    device: DeviceField
    emulated: Literal["refuse", "allow"] = "refuse"
    sync: Literal["calls", "kloop"] = "calls"
    xdp: XdpOptions | None = None
    ring_slots: RingSlots | None = None
    host_stack: tuple[HostClass, ...] = ()
    steer: Literal["ntuple"] | None = None
    hold_frames: int = Field(default=0, ge=0)
    """Merges hold so many of the flows whose path A it brings: buffers of its memory region beside the rings'."""


class WorkerSpec(_Section):
    """What one worker process opens; its ports get the indices 0, 1, ... in this order."""

    name: Name
    cpu: int | None = Field(default=None, ge=0)
    wait: WaitMode = "adaptive"
    ports: tuple[PortSpec, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class WorkerFiles:
    """The files of one worker; the folder is RUNTIME_DIR/workers/NAME."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def spec(self) -> Path:
        """Written by the daemon: `WorkerSpec` as JSON."""
        return self.folder / "spec.json"

    @property
    def state(self) -> Path:
        """Written by the worker: the state segment (`struct fp_state`)."""
        return self.folder / "state"

    @property
    def lock(self) -> Path:
        """`flock`ed by the worker while it lives."""
        return self.folder / "lock"

    @property
    def error(self) -> Path:
        """Written by a worker that failed: `{"exit_code": 1, "message": "…"}`; its next start removes it."""
        return self.folder / "error.json"

    @property
    def memberships(self) -> Path:
        """Written by the daemon, which then sends MEMBERSHIPS_CHANGED: the groups to join (`memberships`)."""
        return self.folder / "memberships.json"

    @property
    def steering(self) -> Path:
        """Written by the daemon: the flow rules it put into NICs (`steering`)."""
        return self.folder / "steering.json"

    @property
    def joined(self) -> Path:
        """Written by the worker: what became of them (`MembershipReport` of telemetry)."""
        return self.folder / "joined.json"


def worker_files(runtime_dir: Path, name: str) -> WorkerFiles:
    """Where the files of worker `name` are."""
    return WorkerFiles(runtime_dir / "workers" / name)


def list_worker_files(runtime_dir: Path) -> Iterator[WorkerFiles]:
    """The files of every worker that was ever started in this runtime directory, by name."""
    folder = runtime_dir / "workers"
    if folder.is_dir():
        yield from (WorkerFiles(entry) for entry in sorted(folder.iterdir()) if entry.is_dir())


def build_worker_spec(config: Config, name: str) -> WorkerSpec:
    """The spec of worker `name` of a checked configuration. KeyError where it has no such worker."""
    for worker in config.workers:
        if worker.name == name:
            held = plan_hold_frames(config.routes)
            ports = tuple(_build_port_spec(port, held.get(port.name, 0)) for port in config.ports_of(name))
            return WorkerSpec(name=name, cpu=worker.cpu, wait=worker.wait, ports=ports)
    raise KeyError(name)


def _build_port_spec(port: Port, hold_frames: int) -> PortSpec:
    xdp = (port.xdp or XdpOptions()) if port.device.kind is DeviceKind.XDP else None
    return PortSpec(
        name=port.name,
        device=port.device,
        emulated=port.emulated or "refuse",
        sync=port.sync or "calls",
        xdp=xdp,
        ring_slots=port.ring_slots,
        host_stack=tuple(sorted(port.host_stack or ())),
        steer=port.steer,
        hold_frames=hold_frames,
    )


def render_worker_spec(spec: WorkerSpec) -> str:
    """The text of `spec.json`."""
    return spec.model_dump_json(by_alias=True, indent=1) + "\n"


def load_worker_spec(path: Path) -> WorkerSpec:
    """Read `spec.json`. WorkerError names the file and field where it is not a WorkerSpec."""
    name = path.parent.name
    try:
        return WorkerSpec.model_validate_json(path.read_text())
    except OSError as error:
        message = f"{path}: {error.strerror}; the daemon writes it before it starts a worker"
        raise WorkerError(name, message) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        message = f"{path}: {field}: {first['msg']}; start the worker by the daemon of the same version"
        raise WorkerError(name, message) from error
