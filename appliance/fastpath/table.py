# SPDX-License-Identifier: Apache-2.0
"""Route tables: matches and what becomes of their frames, built here, copied into the state segment by `publish`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError, check_result
from appliance.fastpath.frames import FrameKey, write_key
from appliance.fastpath.handle import Handle
from appliance.fastpath.matches import Match, read_match, write_match
from appliance.fastpath.media import (
    MergeConfig,
    PacingFormat,
    RouteMedia,
    read_media,
    write_media,
    write_merge,
    write_pacing,
)
from appliance.fastpath.rewrites import Rewrite, read_rewrite, write_rewrite


@dataclass(frozen=True, slots=True)
class Output:
    """The index of an egress port in its worker, and what is written into its copy."""

    port: int
    rewrite: Rewrite | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One match and where its frames go.

    `outputs` are at most MAX_OUTPUTS, every port once; none of them drops the frames. `counter` is the index of
    its frame and byte counters, 0..MAX_ROUTES-1, kept by a route across generations. Frames of a route `to_host`
    count as given to the host stack, not as forwarded. `media` names formats and merges the table has already.
    Ports of routes of one `group` (1..MAX_ROUTES; 0: none) learn together which addresses are behind them: a frame
    to one of those goes to no other output. One frame in `mirror` is captured (0: none).
    """

    match: Match
    outputs: tuple[Output, ...]
    counter: int
    to_host: bool = False
    media: RouteMedia | None = None
    group: int = 0
    mirror: int = 0

    @classmethod
    def exact(cls, key: FrameKey, ports: Sequence[int], counter: int) -> "Route":
        """A route for `Match.exact(key)` whose outputs send frames as they came."""
        return cls(Match.exact(key), tuple(Output(port) for port in ports), counter)


class RouteTable(Handle):
    """A table under construction; one hash lookup for each set of compared fields, whatever the number of routes."""

    def __init__(self, capacity_routes: int = names.MAX_ROUTES) -> None:
        """`capacity_routes` is 1..MAX_ROUTES. NativeError outside it or where memory is short."""
        out = ffi.new("struct fp_table **")
        what = f"route table for {capacity_routes} routes"
        if not 0 < capacity_routes <= names.MAX_ROUTES:
            raise NativeError(names.E_INVALID, f"{what}: 1 to {names.MAX_ROUTES} wanted")
        check_result(lib.fp_table_create(capacity_routes, out), what)
        super().__init__(what, out[0], lib.fp_table_destroy)

    @classmethod
    def build(cls, routes: Iterable[Route]) -> "RouteTable":
        """A table with exactly these routes. NativeError (E_DUPLICATE, E_INVALID, ...) names the route."""
        wanted = tuple(routes)
        table = cls(max(1, len(wanted)))
        try:
            for route in wanted:
                table.add(route)
        except BaseException:
            table.close()
            raise
        return table

    def add(self, route: Route) -> None:
        """Add one route. E_DUPLICATE where its key is present, E_TABLE_FULL past the capacity."""
        native = ffi.new("struct fp_route *")
        try:
            _write_route(route, native)
            with self.use() as table:
                check_result(lib.fp_table_add(table, native), "not added")
        except NativeError as error:  # the text of a match is too dear to be made for each of 10,000 routes
            raise NativeError(error.code, f"route {route.match}: {error.subject}", error.errno) from None

    def add_pacing(self, pacing: PacingFormat) -> int:
        """A format for routes added later; returns the index they name. E_TABLE_FULL past MAX_PACING."""
        native = ffi.new("struct fp_pacing_format *")
        write_pacing(pacing, native)
        with self.use() as table:
            return check_result(lib.fp_table_add_pacing(table, native), f"format {pacing}")

    def add_merge(self, number: int, config: MergeConfig) -> None:
        """Merge `number` (0..MAX_MERGES-1) for routes added later, a flow's own across generations.

        State and counters go on where number and config are those of the table in use. E_DUPLICATE where the table
        has one with this number.
        """
        native = ffi.new("struct fp_merge_config *")
        write_merge(config, native)
        _check_range("merge: number", number, 0, names.MAX_MERGES - 1)
        with self.use() as table:
            check_result(lib.fp_table_add_merge(table, number, native), f"merge {number} {config}")

    def set_discovery(self, wanted: bool) -> None:
        """Whether flows that no route takes are listed; each of their frames then costs some time."""
        with self.use() as table:
            lib.fp_table_set_discovery(table, int(wanted))

    def lookup(self, key: FrameKey) -> Route | None:
        """The route of a whole UDP frame with this key, as the worker would find it."""
        native_key = ffi.new("struct fp_key *")
        found = ffi.new("struct fp_route *")
        write_key(key, native_key)
        with self.use() as table:
            return (
                _read_route(found)
                if lib.fp_table_lookup(table, native_key, lib.FP_LEVEL_UDP, found)
                else None
            )

    def __len__(self) -> int:
        with self.use() as table:
            return lib.fp_table_count(table)


def _write_route(route: Route, target: Any) -> None:
    """Fill a zeroed `struct fp_route`. NativeError where a number is outside its range."""
    _check_range("number of outputs", len(route.outputs), 0, names.MAX_OUTPUTS)
    _check_range("counter", route.counter, 0, names.MAX_ROUTES - 1)
    write_match(route.match, target.match)
    for position, output in enumerate(route.outputs):
        _check_range("output", output.port, 0, names.MAX_PORTS - 1)
        target.outputs[position].port = output.port
        if output.rewrite is not None:
            write_rewrite(output.rewrite, target.outputs[position].rewrite)
    target.output_count = len(route.outputs)
    _check_range("group", route.group, 0, names.MAX_ROUTES)
    target.counter = route.counter
    _check_range("mirror", route.mirror, 0, 0xFFFF)
    target.group = route.group
    target.mirror = route.mirror
    target.flags = lib.FP_ROUTE_TO_HOST if route.to_host else 0
    if route.media is not None:
        write_media(route.media, target.media)


def _read_route(source: Any) -> Route:
    outputs = tuple(
        Output(source.outputs[position].port, read_rewrite(source.outputs[position].rewrite))
        for position in range(source.output_count)
    )
    to_host = bool(source.flags & lib.FP_ROUTE_TO_HOST)
    match, media = read_match(source.match), read_media(source.media)
    return Route(match, outputs, source.counter, to_host, media, source.group, source.mirror)


def _check_range(subject: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise NativeError(names.E_INVALID, f"{subject}: {value} is not in {lowest}..{highest}")
