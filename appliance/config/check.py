# SPDX-License-Identifier: Apache-2.0
"""What a single field cannot say: names that exist, ports that fit together, routes that do not contradict.

Pure: from a model to the list of its problems; nothing of the host is looked at.
"""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches

from appliance.config.host_stack import find_host_stack_problems
from appliance.config.schema import (
    MAX_PORTS_PER_WORKER,
    MAX_ROUTES_PER_WORKER,
    Config,
    DeviceKind,
    Port,
    Route,
    Worker,
)
from appliance.config.yaml_source import Location, Problem

FindLine = Callable[[Location], int]


def find_problems(config: Config, find_line: FindLine) -> list[Problem]:
    """Every contradiction in the model. `find_line`: the line of a location, for messages that name two."""
    checks = (
        _check_names(config, find_line),
        _check_workers(config, find_line),
        _check_port_options(config),
        _check_devices(config, find_line),
        _check_port_workers(config),
        _check_matches(config),
        _check_outputs(config),
        _check_contradictions(config, find_line),
        _check_sizes(config),
        find_host_stack_problems(config, MAX_PORTS_PER_WORKER),
    )
    return [problem for check in checks for problem in check]


def _check_names(config: Config, find_line: FindLine) -> Iterator[Problem]:
    sections: dict[str, Iterable[Worker | Port | Route]] = {
        "workers": config.workers, "ports": config.ports, "routes": config.routes
    }  # fmt: skip
    for section, entries in sections.items():
        first: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if entry.name in first:
                line = find_line((section, first[entry.name], "name"))
                yield Problem(
                    (section, index, "name"), f"{entry.name} is taken by line {line}; choose another"
                )
            first.setdefault(entry.name, index)


def _check_workers(config: Config, find_line: FindLine) -> Iterator[Problem]:
    pinned: dict[int, int] = {}
    for index, worker in enumerate(config.workers):
        if worker.cpu is not None:
            other = pinned.setdefault(worker.cpu, index)
            if other != index and "busy" in (worker.wait, config.workers[other].wait):
                line = find_line(("workers", other, "cpu"))
                yield Problem(
                    ("workers", index, "cpu"),
                    f"CPU {worker.cpu} is taken by worker {config.workers[other].name} (line {line}) "
                    "and one of them never sleeps; give each its own",
                )
        if not config.ports_of(worker.name):
            yield Problem(("workers", index), f"worker {worker.name} has no port; give it one or remove it")


def _check_port_options(config: Config) -> Iterator[Problem]:
    for index, port in enumerate(config.ports):
        kind = port.device.kind
        if port.emulated is not None and kind is not DeviceKind.NETMAP:
            yield Problem(("ports", index, "emulated"), f"{port.device} is no netmap port; remove it")
        if port.xdp is not None and kind is not DeviceKind.XDP:
            yield Problem(("ports", index, "xdp"), f"{port.device} is no xdp port; remove it")
        if port.ring_slots is not None and kind is DeviceKind.NETMAP:
            yield Problem(
                ("ports", index, "ring_slots"),
                f"{port.device} has the rings its driver gives it; remove it, or set them with `ethtool -G`",
            )
        if port.xdp is not None and port.xdp.mode == "generic" and port.xdp.copy_mode == "zerocopy":
            yield Problem(
                ("ports", index, "xdp", "copy"),
                "the generic hook always copies; use mode: native or copy: copy",
            )


def _check_devices(config: Config, find_line: FindLine) -> Iterator[Problem]:
    for index, port in enumerate(config.ports):
        for earlier, other in enumerate(config.ports[:index]):
            if port.device.overlaps(other.device):
                line = find_line(("ports", earlier, "device"))
                yield Problem(
                    ("ports", index, "device"),
                    f"{port.device} is in use by port {other.name} ({other.device}, line {line}); "
                    "a device belongs to one port",
                )
                break


def _check_port_workers(config: Config) -> Iterator[Problem]:
    names = [worker.name for worker in config.workers]
    for index, port in enumerate(config.ports):
        if port.worker is None and len(names) > 1:
            yield Problem(("ports", index, "worker"), f"missing; name one of the workers {', '.join(names)}")
        elif port.worker is not None and port.worker not in names:
            yield Problem(("ports", index, "worker"), _render_unknown("worker", port.worker, names))


def _check_matches(config: Config) -> Iterator[Problem]:
    names = [port.name for port in config.ports]
    for index, route in enumerate(config.routes):
        here: Location = ("routes", index, "match")
        match = route.match
        if match.port not in names:
            yield Problem((*here, "port"), _render_unknown("port", match.port, names))
        if match.inner_vlan is not None and match.vlan is None:
            yield Problem((*here, "inner_vlan"), "needs the outer tag; add `vlan:`")
        if match.group is None and match.destination is None:
            yield Problem(here, "no destination; give `group:` (multicast) or `destination:` (unicast)")
        if match.group is not None and match.destination is not None:
            yield Problem((*here, "destination"), "given beside `group`; keep one of the two")


def _check_outputs(config: Config) -> Iterator[Problem]:
    ports = {port.name: port for port in config.ports}
    workers = {worker.name for worker in config.workers}
    for index, route in enumerate(config.routes):
        ingress = ports.get(route.match.port)
        for position, name in enumerate(route.outputs):
            here: Location = ("routes", index, "outputs", position)
            if name not in ports:
                yield Problem(here, _render_unknown("port", name, list(ports)))
            elif name in route.outputs[:position]:
                yield Problem(here, f"{name} is given twice; every output gets one copy")
            elif name == route.match.port:
                yield Problem(
                    here, f"{name} is where the frames arrive; sending them back makes a loop, remove it"
                )
            elif ingress is not None and _differ(
                config.worker_of(ports[name]), config.worker_of(ingress), workers
            ):
                yield Problem(
                    here,
                    f"{name} belongs to worker {config.worker_of(ports[name])}, frames arrive at "
                    f"{ingress.name} of worker {config.worker_of(ingress)}; put both ports into one worker",
                )


def _differ(one: str, other: str, known: set[str]) -> bool:
    # An unknown worker is a problem of its port, told once.
    return one != other and {one, other} <= known


def _check_contradictions(config: Config, find_line: FindLine) -> Iterator[Problem]:
    first: dict[tuple[object, ...], int] = {}
    for index, route in enumerate(config.routes):
        match = route.match
        key = (match.port, match.vlan, match.inner_vlan, match.group or match.destination, match.udp_port)
        other = first.setdefault(key, index)
        if other != index:
            line = find_line(("routes", other, "match"))
            yield Problem(
                ("routes", index, "match"),
                f"{match} is matched by route {config.routes[other].name} (line {line}) already; "
                "join their outputs in one route",
            )


def _check_sizes(config: Config) -> Iterator[Problem]:
    for index, worker in enumerate(config.workers):
        ports, routes = len(config.ports_of(worker.name)), len(config.routes_of(worker.name))
        if ports > MAX_PORTS_PER_WORKER:
            yield Problem(
                ("workers", index),
                f"worker {worker.name} has {ports} ports, at most {MAX_PORTS_PER_WORKER}; add a worker",
            )
        if routes > MAX_ROUTES_PER_WORKER:
            yield Problem(
                ("workers", index),
                f"worker {worker.name} has {routes} routes, at most {MAX_ROUTES_PER_WORKER}; add a worker",
            )


def _render_unknown(what: str, name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    if close:
        return f"no {what} {name}; did you mean {close[0]}?"
    return f"no {what} {name}; known: {', '.join(known)}"
