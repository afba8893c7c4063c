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
from appliance.host.deferral import (
    Deferral,
    DeferralChange,
    apply_deferral,
    plan_deferral,
    plan_deferral_restore,
    read_deferral,
)
from appliance.host.flow_rules import check_flow_rules
from appliance.host.knobs import (
    KnobChange,
    apply_knobs,
    find_stuck,
    plan_knobs,
    plan_ntuple,
    plan_restore,
    read_knobs,
)
from appliance.host.ports import find_port_problems, read_host

_log = logging.getLogger(__name__)
_Change = KnobChange | DeferralChange
_CHANGES = TypeAdapter(list[_Change])


def check_interfaces(specs: Iterable[WorkerSpec]) -> None:
    """Raise HostError with everything on this host that keeps these workers from opening their ports."""
    ports = [port for spec in specs for port in spec.ports if _needs_host(port)]
    if not ports:
        return
    problems = find_port_problems(ports, read_host())
    if not problems:
        problems = check_flow_rules(list_steered(ports))
    if problems:
        raise HostError("\n".join(problems))


def list_steered(ports: Iterable[PortSpec]) -> list[str]:
    """The interfaces whose NIC sends frames to queues by rules of ours."""
    return [
        port.device.interface
        for port in ports
        if port.steer is not None and port.device.interface is not None
    ]


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
    changes = plan_knobs(facts) + plan_ntuple(list_steered(spec.ports))
    deferral = [
        change
        for wanted in list_deferrals(spec)
        for change in plan_deferral(read_deferral(wanted.interface), wanted)
    ]
    if not changes and not deferral:
        return stuck
    # A worker that comes back finds its interfaces set already: the first record has the true state before.
    _save(settings_path(files), [*_load(settings_path(files)), *changes, *deferral])
    for change in (*changes, *deferral):
        _log.info("%s", change)
    problems = apply_knobs(changes)
    apply_deferral(deferral)
    return stuck + problems


def list_deferrals(spec: WorkerSpec) -> list[Deferral]:
    """What busy poll needs of a worker's interfaces, each once; the ports of one say the same (`config.check`)."""
    wanted = {
        port.device.interface: Deferral(
            port.device.interface,
            port.xdp.busy_poll.defer_hard_irqs,
            port.xdp.busy_poll.flush_timeout_us * 1000,
        )
        for port in spec.ports
        if port.device.interface is not None and port.xdp is not None and port.xdp.busy_poll is not None
    }
    return list(wanted.values())


def restore_settings(files: WorkerFiles) -> None:
    """Give the interfaces back as they were; what is gone meanwhile is logged."""
    for change in reversed(_load(settings_path(files))):
        try:
            if isinstance(change, KnobChange):
                apply_knobs(plan_restore([change]))
            else:
                apply_deferral([plan_deferral_restore(change)])
        except HostError as error:
            _log.warning("not restored: %s", error)
    settings_path(files).unlink(missing_ok=True)


def settings_path(files: WorkerFiles) -> Path:
    """What was changed on the interfaces of this worker."""
    return files.folder / "interfaces.json"


def _load(path: Path) -> list[_Change]:
    try:
        return _CHANGES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        _log.warning("%s: unreadable, the settings before are not known: %s", path, error)
        return []


def _save(path: Path, changes: list[_Change]) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(path, _CHANGES.dump_json(changes, indent=1).decode() + "\n")
