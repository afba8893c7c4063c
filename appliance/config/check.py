# SPDX-License-Identifier: Apache-2.0
"""What a single field cannot say: names that exist, ports that fit together, routes that do not contradict.

Pure: from a model to the list of its problems; nothing of the host is looked at.
"""

from collections.abc import Callable, Iterable, Iterator

from appliance.config.check_holding import check_hold_capacity, check_holding
from appliance.config.check_media import check_media, check_media_capacity
from appliance.config.check_ports import check_port_options
from appliance.config.check_routes import check_outputs, check_port, check_routes
from appliance.config.entries import Entry, PortNames, Tables, compute_shape, index_ports, resolve_tables
from appliance.config.host_stack import find_host_stack_problems
from appliance.config.messages import render_unknown_name
from appliance.config.schema import (
    MAX_OUTPUTS,
    MAX_PORTS_PER_WORKER,
    MAX_REWRITES_PER_WORKER,
    MAX_ROUTES_PER_WORKER,
    MAX_SHAPES_PER_WORKER,
    Config,
    CrossConnect,
    Port,
    Route,
    Worker,
)
from appliance.config.steering import find_steering_port_problems, find_steering_problems
from appliance.config.yaml_source import Location, Problem

FindLine = Callable[[Location], int]

# More names in one message help nobody.
MOST_NAMES = 20


def find_problems(config: Config, find_line: FindLine) -> list[Problem]:
    """Every contradiction in the model. `find_line`: the line of a location, for messages that name two."""
    names = index_ports(config)
    checks = (
        _check_names(config, find_line),
        _check_workers(config, find_line),
        check_port_options(config),
        _check_devices(config, find_line),
        _check_port_workers(config),
        _check_ports_of_workers(config),
        _check_cross_connects(config, names, find_line),
        check_routes(config, names),
        check_media(config, names),
        check_holding(config, names),
        _check_defaults(config, names),
        find_host_stack_problems(config, MAX_PORTS_PER_WORKER),
        find_steering_port_problems(config),
    )
    problems = [problem for check in checks for problem in check]
    if problems:
        return problems
    tables = resolve_tables(config)
    return [
        *_check_conflicts(tables, find_line),
        *_check_capacity(tables, config),
        *check_media_capacity(tables, config),
        *find_steering_problems(config, tables),
        *check_hold_capacity(config),
    ]


def _check_names(config: Config, find_line: FindLine) -> Iterator[Problem]:
    for group in (["workers"], ["ports"], ["cross_connects", "routes"]):
        first: dict[str, Location] = {}
        for section in group:
            entries: Iterable[Worker | Port | CrossConnect | Route] = getattr(config, section)
            for index, entry in enumerate(entries):
                here: Location = (section, index, "name")
                if entry.name in first:
                    line = find_line(first[entry.name])
                    yield Problem(here, f"{entry.name} is taken by line {line}; choose another")
                elif section == "routes" and entry.name == "drop":
                    yield Problem(here, "`default: drop` means something else; choose another")
                first.setdefault(entry.name, here)


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
            yield Problem(("ports", index, "worker"), render_unknown_name("worker", port.worker, names))


def _check_cross_connects(config: Config, names: PortNames, find_line: FindLine) -> Iterator[Problem]:
    used: dict[str, Location] = {
        port.name: ("ports", index, "default")
        for index, port in enumerate(config.ports)
        if port.default is not None
    }
    for index, pair in enumerate(config.cross_connects):
        if len(pair.ports) > 2 and pair.learn is None:
            text = (
                f"missing; of {len(pair.ports)} ports say `learn: true` (a frame goes to the port its "
                "destination was seen at) or `learn: false` (to all others)"
            )
            yield Problem(("cross_connects", index, "learn"), text)
        for position, name in enumerate(pair.ports):
            here: Location = ("cross_connects", index, "ports", position)
            if name in pair.ports[:position]:
                yield Problem(here, f"{name} is given twice; name every port once")
                continue
            yield from check_port(names, name, pair.ports[:position], name, here)
            if name in used:
                line = find_line(used[name])
                yield Problem(
                    here, f"line {line} says what {name} does with frames that no route takes; keep one"
                )
            used.setdefault(name, here)


def _check_defaults(config: Config, names: PortNames) -> Iterator[Problem]:
    routes = {route.name: route for route in config.routes}
    for index, port in enumerate(config.ports):
        here: Location = ("ports", index, "default")
        if isinstance(port.default, list):
            yield from check_outputs(names, port.default, None, [port.name], here)
        elif port.default is None or port.default == "drop":
            continue
        elif port.default not in routes:
            known = ["drop", *list(routes)[:MOST_NAMES]]
            yield Problem(here, render_unknown_name("route", port.default, known))
        else:
            route = routes[port.default]
            if route.protect is not None:
                yield Problem(
                    here,
                    f"route {route.name} is protected, it takes its two paths and nothing else; name another",
                )
                continue
            owner = names.worker_of(route)
            if owner is not None and owner != names.workers[port.name]:
                yield Problem(
                    here,
                    f"route {route.name} belongs to worker {owner}, {port.name} to worker "
                    f"{names.workers[port.name]}; give {port.name} a route of its own",
                )
                continue
            for problem in check_outputs(names, route.outputs or (), None, [port.name], here):
                field = problem.location[-1]
                where = f" ({field} of an output)" if isinstance(field, str) else ""
                yield Problem(here, f"route {route.name}{where}: {problem.text}")


def _check_conflicts(tables: Tables, find_line: FindLine) -> Iterator[Problem]:
    told: set[Location] = set()
    for loser, winner in tables.conflicts:
        location = (*loser.location, "match") if len(loser.location) == 2 else loser.location
        if location in told:
            continue
        told.add(location)
        line = find_line((*winner.location, "match"))
        what = f"{winner.name} (line {line})"
        if loser.match is None:
            yield Problem(
                location, f"{what} takes every frame of {loser.port} already; remove one of the two"
            )
        elif loser.rank == winner.rank:
            yield Problem(
                location,
                f"{loser.match} is matched by route {what} already; join their outputs in one route",
            )
        else:
            how = f"with priority {winner.rank[0]}" if winner.rank[0] > loser.rank[0] else "at ports it names"
            yield Problem(
                location,
                f"{loser.match} gets no frame: route {what} takes the same ones {how}; remove one of the two",
            )


def _check_capacity(tables: Tables, config: Config) -> Iterator[Problem]:
    for index, worker in enumerate(config.workers):
        entries = tables.entries[worker.name]
        if len(entries) > MAX_ROUTES_PER_WORKER:
            ports = (
                "" if len(entries) <= len(config.routes) else ", a route counts once for each of its ports"
            )
            yield Problem(
                ("workers", index),
                f"worker {worker.name} has {len(entries)} routes{ports}, at most {MAX_ROUTES_PER_WORKER}; "
                "add a worker",
            )
        shapes: dict[tuple[object, ...], Entry] = {}
        rewrites = 0
        for entry in entries:
            shapes.setdefault(compute_shape(entry.match), entry)
            rewrites += sum(output.changes for output in entry.outputs)
        if rewrites > MAX_REWRITES_PER_WORKER - MAX_OUTPUTS:
            yield Problem(
                ("workers", index),
                f"worker {worker.name} rewrites at {rewrites} outputs, at most "
                f"{MAX_REWRITES_PER_WORKER - MAX_OUTPUTS}; add a worker",
            )
        for entry in list(shapes.values())[MAX_SHAPES_PER_WORKER:]:
            yield Problem(
                entry.location,
                f"worker {worker.name} already has routes with {MAX_SHAPES_PER_WORKER} different sets of matched "
                "fields and prefix lengths, no more can be searched at line rate; match the same fields as another "
                "route, or add a worker",
            )


def _check_ports_of_workers(config: Config) -> Iterator[Problem]:
    for index, worker in enumerate(config.workers):
        ports = len(config.ports_of(worker.name))
        if ports > MAX_PORTS_PER_WORKER:
            yield Problem(
                ("workers", index),
                f"worker {worker.name} has {ports} ports, at most {MAX_PORTS_PER_WORKER}; add a worker",
            )
