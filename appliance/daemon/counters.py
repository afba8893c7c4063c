# SPDX-License-Identifier: Apache-2.0
"""Which counter of the state segment belongs to which route, kept across generations.

A segment has as many counters as a table has routes, and they cannot be set back while the worker runs. So a
counter that another route used before starts at what it shows when it is handed out: its base.
"""

from collections.abc import Callable, Iterator, Mapping

from pydantic import BaseModel, ConfigDict

from appliance.config.schema import MAX_ROUTES_PER_WORKER
from appliance.telemetry import Observation, RouteRecord


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class ObservedRun(_Kept):
    """Since when a route's RTP is observed without a break: CLOCK_MONOTONIC, and the number the fast path tells it by.

    `paced`: Cinst and VRX as well.
    """

    run: int
    since_ns: int
    paced: bool = False


class MergeNumber(_Kept):
    """The merge of a protected flow, the same at both its paths. `id` was never another merge's of this worker."""

    flow: str
    number: int
    id: int
    since_ns: int


class RouteCounter(_Kept):
    """A route's counter: its index in the state segment, and what it showed when the route got it.

    `to` is where its frames go, for a person: `red-out, blue-out` or `drop`. `observed` and `merge` are None where the
    route asks for neither (`daemon.media`).
    """

    index: int
    base_frames: int = 0
    base_bytes: int = 0
    to: str = ""
    observed: ObservedRun | None = None
    merge: MergeNumber | None = None


WorkerCounters = dict[str, dict[str, RouteCounter]]
"""Worker name → route name → its counter."""

ReadBase = Callable[[int], tuple[int, int]]
"""Counter index → frames and bytes it shows now."""


def assign_counters(
    previous: Mapping[str, RouteCounter], routes: Mapping[str, str], read_base: ReadBase
) -> dict[str, RouteCounter]:
    """Counters for `routes` (name → where frames go): the ones they had, and for new routes the lowest free ones.

    `previous` is the assignment of the acknowledged table, so a free counter no longer moves and its base
    is exact. Only where none is free (almost every route of a full table replaced at once) does a new route
    get the counter of one that goes away now; it then also shows what that one matches until the switch.
    """
    kept = {name: previous[name] for name in routes if name in previous}
    candidates = _list_candidates(previous, kept)
    assigned: dict[str, RouteCounter] = {}
    for name, to in routes.items():
        if name in kept:
            counter = kept[name]
            assigned[name] = counter if counter.to == to else counter.model_copy(update={"to": to})
            continue
        index = next(candidates)
        frames, octets = read_base(index)
        assigned[name] = RouteCounter(index=index, base_frames=frames, base_bytes=octets, to=to)
    return assigned


def _list_candidates(previous: Mapping[str, RouteCounter], kept: Mapping[str, RouteCounter]) -> Iterator[int]:
    in_use = {counter.index for counter in previous.values()}
    yield from (index for index in range(MAX_ROUTES_PER_WORKER) if index not in in_use)
    yield from sorted(in_use - {counter.index for counter in kept.values()})


def read_nothing(_index: int) -> tuple[int, int]:
    """The base of every counter of a new segment."""
    return 0, 0


def list_indices(counters: WorkerCounters) -> dict[str, dict[str, int]]:
    """As `collect_observation` wants them."""
    return {
        worker: {name: counter.index for name, counter in routes.items()}
        for worker, routes in counters.items()
    }


def subtract_bases(observation: Observation, counters: WorkerCounters) -> Observation:
    """The observation with routes counted from when each of them was added, and with where their frames go."""
    bases = {name: counter for routes in counters.values() for name, counter in routes.items()}

    def subtract(route: RouteRecord) -> RouteRecord:
        base = bases.get(route.name)
        if base is None:
            return route
        frames, octets = max(0, route.frames - base.base_frames), max(0, route.bytes - base.base_bytes)
        update: dict[str, object] = {"frames": frames, "bytes": octets, "to": base.to}
        if (
            route.rtp is not None
            and base.observed is not None
            and 0 < route.rtp.first_ns < base.observed.since_ns
        ):
            update |= {
                "rtp": None,
                "pacing": None,
            }  # of what had this counter before; its own first frame is to come
        return route.model_copy(update=update)

    return observation.model_copy(update={"routes": tuple(subtract(route) for route in observation.routes)})
