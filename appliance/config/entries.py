# SPDX-License-Identifier: Apache-2.0
"""From routes, cross-connects and defaults to the entries of each worker's route table.

Every entry takes frames of one port, so that "the match that compares more bits wins" is said without the port:
a route for several ports becomes several entries with one counter. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from appliance.config.device import DeviceKind, DeviceShape
from appliance.config.schema import Config, Match, Output, Port, Route
from appliance.config.yaml_source import Location


@dataclass(frozen=True, slots=True)
class Entry:
    """One match on one port, and what becomes of its frames: no output drops them."""

    name: str
    """Whose counters it adds to: a route's name, or one with spaces for what has no name of its own."""
    port: str
    match: Match | None
    """None: every frame of the port that nothing else takes."""
    outputs: tuple[Output, ...]
    to_host: bool
    location: Location
    """Of what it came from, for messages."""
    group: str | None = None
    """The cross-connect whose ports learn addresses together; None: frames go to all outputs."""
    route: Route | None = None
    """Where it came from one: what is observed and mirrored, and how its paths are merged."""
    path: str = ""
    """"A" or "B" of a protected route, else empty."""

    @property
    def rank(self) -> tuple[int, int]:
        """Between entries that compare the same: priority, then whether the port was named."""
        if self.match is None:
            return (0, 0)
        return (self.match.priority, 1 if self.match.port is not None else 0)


@dataclass(slots=True)
class Tables:
    """Entries by worker, and pairs of which the first never gets a frame because of the second."""

    entries: dict[str, list[Entry]]
    conflicts: list[tuple[Entry, Entry]] = field(default_factory=list)

    def list_fates(self, worker: str) -> dict[str, str]:
        """What has counters in this worker, in the order of the file → where its frames go, for a person.

        Nothing, where it is a running worker that the configuration no longer has.
        """
        ports: dict[str, dict[str, None]] = {}
        for entry in self.entries.get(worker, []):
            ports.setdefault(entry.name, {}).update(dict.fromkeys(output.port for output in entry.outputs))
        return {name: ", ".join(names) or "drop" for name, names in ports.items()}


@dataclass(frozen=True, slots=True)
class PortNames:
    """What routes ask of ports, prepared once for many routes."""

    config: Config
    ports: Mapping[str, Port]
    workers: Mapping[str, str]
    """Port name → worker name."""
    hosts: Mapping[tuple[str, str], str]
    """(Worker, interface) → name of the port of its host rings."""

    def worker_of(self, route: Route) -> str | None:
        """The worker that carries a route out; None where nothing it names says which."""
        for _, match in route.matches:
            if match.port is not None:
                return self.workers.get(match.port[0])
        if route.outputs:
            return self.workers.get(route.outputs[0].port)
        return self.config.workers[0].name if len(self.config.workers) == 1 else None

    def differ(self, one: str, other: str) -> bool:
        """Whether two ports are of different workers. An unknown worker is a problem of its port, told once."""
        workers = {self.workers[one], self.workers[other]}
        return len(workers) > 1 and workers <= {worker.name for worker in self.config.workers}

    def host_of(self, name: str) -> str | None:
        """The port of the host rings beside port `name`; None where it is none or has none."""
        device = self.ports[name].device
        if (
            device.shape is DeviceShape.HOST
            or device.kind is not DeviceKind.NETMAP
            or device.interface is None
        ):
            return None
        return self.hosts.get((self.workers[name], device.interface))

    def ingress_of(self, route: Route, worker: str, match: Match) -> list[str]:
        """The ports at which a route takes the frames of `match`."""
        if match.port is not None:
            return match.port
        mine = [name for name, owner in self.workers.items() if owner == worker]
        if route.to_host:
            return [name for name in mine if self.host_of(name) is not None]
        own = {output.port for output in route.outputs or ()}
        return [name for name in mine if name not in own]


def index_ports(config: Config) -> PortNames:
    """Prepare `PortNames`; of ports of one name the first counts."""
    ports: dict[str, Port] = {}
    for port in config.ports:
        ports.setdefault(port.name, port)
    workers = {name: config.worker_of(port) for name, port in ports.items()}
    hosts = {
        (workers[name], port.device.interface): name
        for name, port in ports.items()
        if port.device.shape is DeviceShape.HOST and port.device.interface is not None
    }
    return PortNames(config, ports, workers, hosts)


def resolve_tables(config: Config) -> Tables:
    """The entries of every worker. `config` names only ports and routes that it has."""
    names = index_ports(config)
    tables = Tables({worker.name: [] for worker in config.workers})
    taken: dict[tuple[object, ...], Entry] = {}
    given_way: list[tuple[Entry, Entry]] = []
    for entry in _list_entries(config, names):
        key = _build_key(entry)
        other = taken.setdefault(key, entry)
        if other is entry:
            continue
        loser, winner = (other, entry) if entry.rank > other.rank else (entry, other)
        taken[key] = winner
        if loser.rank[1] or loser.rank == winner.rank or loser.match is None:
            tables.conflicts.append((loser, winner))
        else:
            given_way.append((loser, winner))
    for entry in taken.values():
        tables.entries[names.workers[entry.port]].append(entry)
    # A route for all ports may give way at some of them, not at all.
    left = {entry.location for entry in taken.values()} if given_way else set()
    tables.conflicts += [pair for pair in given_way if pair[0].location not in left]
    return tables


def _list_entries(config: Config, names: PortNames) -> Iterator[Entry]:
    for index, route in enumerate(config.routes):
        worker = names.worker_of(route)
        if worker is None:
            continue
        for path, match in route.matches:
            here: Location = ("routes", index, "protect", path.lower()) if path else ("routes", index)
            for port in names.ingress_of(route, worker, match):
                yield build_entry(names, route, port, match, here, path)
    for index, pair in enumerate(config.cross_connects):
        here = ("cross_connects", index)
        for port in pair.ports:
            outputs = tuple(Output(port=other) for other in pair.ports if other != port)
            group = pair.name if pair.learn else None
            to_host = _are_hosts(names, outputs)
            yield Entry(pair.render_name(port), port, None, outputs, to_host, here, group)
    routes = {route.name: route for route in config.routes}
    for index, owner in enumerate(config.ports):
        here = ("ports", index, "default")
        if isinstance(owner.default, list):
            to_host = _are_hosts(names, owner.default)
            yield Entry(f"{owner.name} default", owner.name, None, tuple(owner.default), to_host, here)
        elif owner.default is not None and owner.default != "drop":
            yield build_entry(names, routes[owner.default], owner.name, None, here)


def build_entry(
    names: PortNames, route: Route, port: str, match: Match | None, location: Location, path: str = ""
) -> Entry:
    """The entry of a route on one port. Each path of a protected one has counters of its own: `camera-1 path A`."""
    outputs = tuple(route.outputs or ())
    if route.to_host:
        host = names.host_of(port)
        outputs = () if host is None else (Output(port=host),)
    name = f"{route.name} path {path}" if path else route.name
    to_host = _are_hosts(names, outputs)
    return Entry(name, port, match, outputs, to_host, location, route=route, path=path)


def _are_hosts(names: PortNames, outputs: Iterable[Output]) -> bool:
    """Whether all outputs are host rings: then frames count as given to the host (FP_ROUTE_TO_HOST)."""
    shapes = {names.ports[output.port].device.shape for output in outputs}
    return shapes == {DeviceShape.HOST}


def _build_key(entry: Entry) -> tuple[object, ...]:
    """Equal for entries that the fast path cannot tell apart."""
    match = entry.match
    if match is None:
        return (entry.port, ("any", "any"), *(None,) * 7)
    return (
        entry.port, match.tags, match.to, match.source, match.udp_port, match.udp_source, match.dscp,
        match.payload_type, match.ssrc,
    )  # fmt: skip


def compute_shape(match: Match | None) -> tuple[object, ...]:
    """The set of compared fields and prefix lengths: what the fast path holds at most MAX_SHAPES of."""
    if match is None:
        return (False, False, *(None,) * 7)
    ends = tuple(None if end is None else (end.version, end.prefixlen) for end in (match.to, match.source))
    rest = (match.udp_port, match.udp_source, match.dscp, match.payload_type, match.ssrc)
    return (
        *(tag != "any" for tag in match.tags),
        *ends,
        *(None if value is None else True for value in rest),
    )
