# SPDX-License-Identifier: Apache-2.0
"""From what runs to what is wanted: the list of actions, each of which can be printed before it is done.

Pure. `appliance.daemon` carries the actions out in this order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from appliance.config.holding import render_hold
from appliance.config.schema import Config, CrossConnect, DeviceKind, Output, Route
from appliance.config.worker_spec import PortSpec, WorkerSpec, build_worker_spec


class ActionKind(StrEnum):
    """What is done to a worker or a route."""

    STOP_WORKER = "stop-worker"
    RESTART_WORKER = "restart-worker"
    START_WORKER = "start-worker"
    REMOVE_ROUTE = "remove-route"
    CHANGE_ROUTE = "change-route"
    ADD_ROUTE = "add-route"
    CHANGE_MEMBERSHIP = "change-membership"
    CHANGE_DISCOVERY = "change-discovery"
    RECORD_TEXT = "record-text"


# Frames of a worker that stops or restarts are lost meanwhile; starting another worker harms nobody.
_DISRUPTIVE = frozenset({ActionKind.STOP_WORKER, ActionKind.RESTART_WORKER})


class Action(BaseModel):
    """One step from the active to the staged configuration."""

    model_config = ConfigDict(frozen=True)

    kind: ActionKind
    subject: str
    """The worker's, route's or port's (change-membership) name; the file for record-text, else what is meant."""
    reason: str
    """What differs, for a person."""

    @property
    def disruptive(self) -> bool:
        """Whether frames that are forwarded now are lost while it is carried out."""
        return self.kind in _DISRUPTIVE

    def __str__(self) -> str:
        return f"{self.kind.value.replace('-', ' ')} {self.subject}: {self.reason}"


def plan_changes(
    active: Config | None, staged: Config, running: Mapping[str, WorkerSpec] | None = None
) -> list[Action]:
    """The actions that turn `active` (None: nothing runs) into `staged`; empty where they mean the same.

    `running` is what the workers have open, where that is known; without it they run what `active` says.
    """
    before = build_specs(active) if running is None else running
    return [
        *_plan_workers(before, build_specs(staged)),
        *_plan_routes(active, staged),
        *_plan_memberships(active, staged),
        *_plan_discovery(active, staged),
    ]


def find_restarts(actions: list[Action]) -> list[Action]:
    """The actions that need `--allow-restart`."""
    return [action for action in actions if action.disruptive]


def _plan_workers(before: Mapping[str, WorkerSpec], after: Mapping[str, WorkerSpec]) -> Iterator[Action]:
    for name in sorted(before.keys() - after.keys()):
        yield Action(kind=ActionKind.STOP_WORKER, subject=name, reason="no longer in the configuration")
    for name, spec in after.items():
        if name in before:
            reason = explain_spec_change(before[name], spec)
            if reason is not None:
                yield Action(kind=ActionKind.RESTART_WORKER, subject=name, reason=reason)
    for name, spec in after.items():
        if name not in before:
            ports = ", ".join(str(port.device) for port in spec.ports)
            held = sum(_sum_held(spec.ports).values())
            reason = f"ports {ports}; holds {render_hold(held)}" if held else f"ports {ports}"
            yield Action(kind=ActionKind.START_WORKER, subject=name, reason=reason)


def build_specs(config: Config | None) -> dict[str, WorkerSpec]:
    """Worker name → what it opens."""
    workers = config.workers if config is not None else []
    return {worker.name: build_worker_spec(config, worker.name) for worker in workers if config is not None}


def explain_spec_change(before: WorkerSpec, after: WorkerSpec) -> str | None:
    """Why a worker of spec `before` cannot become one of spec `after` while it runs; None where it can.

    The order of ports is no change: routes are published by the indices of the running worker.
    """
    changes = [
        *_explain_fields(before, after),
        *_explain_ports(before.ports, after.ports),
        *_explain_held(before.ports, after.ports),
    ]
    return ", ".join(changes) if changes else None


def _explain_fields(before: WorkerSpec, after: WorkerSpec) -> Iterator[str]:
    if before.cpu != after.cpu:
        yield f"cpu {_render(before.cpu)} → {_render(after.cpu)}"
    if before.wait != after.wait:
        yield f"wait {before.wait} → {after.wait}"


def _explain_ports(before: tuple[PortSpec, ...], after: tuple[PortSpec, ...]) -> Iterator[str]:
    old, new = {port.name: port for port in before}, {port.name: port for port in after}
    yield from (f"port {name} removed" for name in old if name not in new)
    yield from (f"port {name} added" for name in new if name not in old)
    for name, port in new.items():
        if name not in old or old[name] == port:
            continue
        for field in PortSpec.model_fields:
            if field == "hold_frames":
                continue  # below
            seen, wanted = getattr(old[name], field), getattr(port, field)
            if seen != wanted:
                yield f"port {name} {field} {_render(seen)} → {_render(wanted)}"


def _explain_held(before: tuple[PortSpec, ...], after: tuple[PortSpec, ...]) -> Iterator[str]:
    """Buffers are taken at the start of a worker: it goes on with more than it needs, not with less."""
    had = _sum_held(before)
    for kind, frames in _sum_held(after).items():
        if frames > had.get(kind, 0):
            yield f"{kind} ports hold {had.get(kind, 0):,} → {render_hold(frames)}"


def _sum_held(ports: tuple[PortSpec, ...]) -> Counter[str]:
    """Frames held, by what memory they lie in."""
    held: Counter[str] = Counter()
    for port in ports:
        if port.hold_frames:
            held["netmap" if port.device.kind is DeviceKind.NETMAP else "xdp and memory"] += port.hold_frames
    return held


def _render(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, BaseModel):
        parts = (getattr(value, name) for name in type(value).model_fields)
        return "/".join(_render(part) for part in parts if part is not None)
    if isinstance(value, tuple):
        return "/".join(value) or "none"
    return str(value)


def _plan_memberships(active: Config | None, staged: Config) -> Iterator[Action]:
    before = {port.name: port.membership for port in active.ports} if active is not None else {}
    for port in staged.ports:
        if (seen := before.get(port.name, port.membership)) != port.membership:
            reason = f"{seen} → {port.membership}"
            yield Action(kind=ActionKind.CHANGE_MEMBERSHIP, subject=port.name, reason=reason)


def _plan_discovery(active: Config | None, staged: Config) -> Iterator[Action]:
    before = active is not None and active.discover
    if before != staged.discover:
        reason = "listed" if staged.discover else "no longer listed"
        yield Action(kind=ActionKind.CHANGE_DISCOVERY, subject="flows without a route", reason=reason)


def _plan_routes(active: Config | None, staged: Config) -> Iterator[Action]:
    before = {} if active is None else list_flows(active)
    after = list_flows(staged)
    for name, flow in before.items():
        if name not in after:
            yield Action(kind=ActionKind.REMOVE_ROUTE, subject=name, reason=str(flow))
    for name, flow in after.items():
        if name in before and before[name] != flow:
            reason = f"{before[name]} becomes {flow}"
            yield Action(kind=ActionKind.CHANGE_ROUTE, subject=name, reason=reason)
    for name, flow in after.items():
        if name not in before:
            yield Action(kind=ActionKind.ADD_ROUTE, subject=name, reason=str(flow))


@dataclass(frozen=True, slots=True)
class DefaultFlow:
    """What a port's `default:` does."""

    port: str
    default: str | list[Output]

    def __str__(self) -> str:
        if isinstance(self.default, str):
            return f"{self.port} everything else → route {self.default}"
        return f"{self.port} everything else → {', '.join(str(output) for output in self.default)}"


def list_flows(config: Config) -> dict[str, Route | CrossConnect | DefaultFlow]:
    """Name → what it is, of all that moves frames; told by `str`, which is dear for 10,000 of them."""
    flows: dict[str, Route | CrossConnect | DefaultFlow] = {pair.name: pair for pair in config.cross_connects}
    flows |= {route.name: route for route in config.routes}
    for port in config.ports:
        if port.default is not None and port.default != "drop":
            flows[f"{port.name} default"] = DefaultFlow(port.name, port.default)
    return flows
