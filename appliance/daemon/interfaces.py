# SPDX-License-Identifier: Apache-2.0
"""Interfaces of a worker's ports: judged before it starts, set as it needs them, given back after it."""

import logging
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from appliance.config.device import DeviceKind, DeviceShape
from appliance.config.host_stack import needs_host_port
from appliance.config.worker_spec import PortSpec, WorkerFiles, WorkerSpec
from appliance.daemon.files import write_atomically
from appliance.errors import HostError
from appliance.host.knobs import KnobChange, apply_knobs, find_stuck, plan_knobs, plan_restore, read_knobs
from appliance.host.ports import find_port_problems, read_host

_log = logging.getLogger(__name__)
_CHANGES = TypeAdapter(list[KnobChange])


def check_interfaces(specs: Iterable[WorkerSpec]) -> None:
    """Raise HostError with everything on this host that keeps these workers from opening their ports."""
    ports = [port for spec in specs for port in spec.ports if _needs_host(port)]
    if not ports:
        return
    problems = find_port_problems(ports, read_host())
    if problems:
        raise HostError("\n".join(problems))


def _needs_host(port: PortSpec) -> bool:
    return port.device.kind is DeviceKind.NETMAP or port.device.interface is not None


def list_interfaces(spec: WorkerSpec) -> list[str]:
    """The interfaces whose hardware rings a worker opens."""
    return [
        port.device.interface
        for port in spec.ports
        if port.device.interface is not None and port.device.shape is not DeviceShape.HOST
    ]


def _list_host_rings(spec: WorkerSpec) -> set[str | None]:
    """The interfaces whose host stack sends by way of netmap."""
    return {
        port.device.interface
        for port in spec.ports
        if port.device.shape is DeviceShape.HOST or needs_host_port(port.device, port.host_stack)
    }


def apply_settings(files: WorkerFiles, spec: WorkerSpec) -> list[str]:
    """Set a worker's interfaces as its ports need them. Returns a sentence for each that stays and harms.

    What undoes it is on disk before anything is changed, so a crash in between loses nothing.
    """
    hosts = _list_host_rings(spec)
    facts = [read_knobs(name, name in hosts) for name in list_interfaces(spec)]
    stuck = find_stuck(facts)
    changes = plan_knobs(facts)
    if not changes:
        return stuck
    # A worker that comes back finds its interfaces set already: the first record has the true state before.
    _save(settings_path(files), [*_load(settings_path(files)), *changes])
    for change in changes:
        _log.info("%s", change)
    return stuck + apply_knobs(changes)


def restore_settings(files: WorkerFiles) -> None:
    """Give the interfaces back as they were; what is gone meanwhile is logged."""
    for change in plan_restore(_load(settings_path(files))):
        try:
            apply_knobs([change])
        except HostError as error:
            _log.warning("not restored: %s", error)
    settings_path(files).unlink(missing_ok=True)


def settings_path(files: WorkerFiles) -> Path:
    """What was changed on the interfaces of this worker."""
    return files.folder / "interfaces.json"


def _load(path: Path) -> list[KnobChange]:
    try:
        return _CHANGES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        _log.warning("%s: unreadable, the settings before are not known: %s", path, error)
        return []


def _save(path: Path, changes: list[KnobChange]) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(path, _CHANGES.dump_json(changes, indent=1).decode() + "\n")
