# SPDX-License-Identifier: Apache-2.0
"""Route tables: exact match on a frame key, built here, copied into the state segment by `publish`."""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.fastpath import names
from appliance.fastpath._native import ffi, lib
from appliance.fastpath.errors import NativeError, check_result
from appliance.fastpath.frames import FrameKey, read_key, write_key
from appliance.fastpath.handle import Handle


@dataclass(frozen=True, slots=True)
class Route:
    """One match and where its frames go.

    `outputs` are 1..MAX_OUTPUTS indices of egress ports in their worker, each once. `counter` is the
    index of its frame and byte counters, 0..MAX_ROUTES-1, kept by a route across generations.
    """

    key: FrameKey
    outputs: tuple[int, ...]
    counter: int


class RouteTable(Handle):
    """A table under construction; one hash lookup finds a route whatever their number."""

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
        subject = f"route {route.key}"
        _check_range(f"{subject}: number of outputs", len(route.outputs), 1, names.MAX_OUTPUTS)
        _check_range(f"{subject}: counter", route.counter, 0, names.MAX_ROUTES - 1)
        native = ffi.new("struct fp_route *")
        write_key(route.key, native.key)
        for position, output in enumerate(route.outputs):
            _check_range(f"{subject}: output", output, 0, names.MAX_PORTS - 1)
            native.outputs[position] = output
        native.output_count = len(route.outputs)
        native.counter = route.counter
        with self.use() as table:
            check_result(lib.fp_table_add(table, native), subject)

    def lookup(self, key: FrameKey) -> Route | None:
        """The route of a key, as the worker would find it."""
        native_key = ffi.new("struct fp_key *")
        write_key(key, native_key)
        with self.use() as table:
            found = lib.fp_table_lookup(table, native_key)
            if found == ffi.NULL:
                return None
            outputs = tuple(found.outputs[position] for position in range(found.output_count))
            return Route(read_key(found.key), outputs, found.counter)

    def __len__(self) -> int:
        with self.use() as table:
            return lib.fp_table_count(table)


def _check_range(subject: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise NativeError(names.E_INVALID, f"{subject}: {value} is not in {lowest}..{highest}")
