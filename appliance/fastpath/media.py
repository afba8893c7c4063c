# SPDX-License-Identifier: Apache-2.0
"""What a table and its routes ask of RTP media: observers, ST 2110-21 formats, ST 2022-7 merges."""

import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from appliance.fastpath import names
from appliance.fastpath._native import lib
from appliance.fastpath.errors import NativeError

SENDERS = {
    "N": lib.FP_SENDER_NARROW,
    "NL": lib.FP_SENDER_NARROW_LINEAR,
    "W": lib.FP_SENDER_WIDE,
}
SCHEDULES = {"gapped": lib.FP_SCHEDULE_GAPPED, "linear": lib.FP_SCHEDULE_LINEAR}
ANCHORS = {"epoch": lib.FP_ANCHOR_EPOCH, "first": lib.FP_ANCHOR_FIRST}
PATHS = {"A": lib.FP_MERGE_A, "B": lib.FP_MERGE_B}
CLASSES = {
    "A": lib.FP_MERGE_CLASS_A,
    "B": lib.FP_MERGE_CLASS_B,
    "C": lib.FP_MERGE_CLASS_C,
    "D": lib.FP_MERGE_CLASS_D,
}


@dataclass(frozen=True, slots=True)
class PacingFormat:
    """A video format as ST 2110-21 needs it; of interlaced video all of it for one field.

    `packets` is NPACKETS, `rate` pictures a second, `active_lines` of `total_lines` RACTIVE; `sender` "N", "NL" or
    "W"; `schedule` "gapped" or "linear"; `max_udp_bytes` MAXUDP. Times count from `anchor`: the "first" frame of each
    picture (any clock), or the SMPTE "epoch" plus `troffset_ns` (the host's CLOCK_TAI must follow PTP). Another `id`
    (not 0) makes the models begin anew.
    """

    packets: int
    rate: Fraction
    active_lines: int
    total_lines: int
    sender: str
    id: int
    schedule: str = "gapped"
    max_udp_bytes: int = 1460
    anchor: str = "first"
    troffset_ns: int = 0


@dataclass(frozen=True, slots=True)
class MergeConfig:
    """A merge (ST 2022-7). Another `id` (not 0) makes it begin anew; `slots` is what `plan_slots` says.

    A path without frames for `silence_ns` is silent; 0: 200 ms, or the window where that is more. `hold_frames` other
    than 0: release in order, of at most so many frames that wait, in buffers of `LoopWorker.hold`.
    """

    id: int
    window_ns: int
    slots: int
    silence_ns: int = 0
    hold_frames: int = 0


@dataclass(frozen=True, slots=True)
class RouteMedia:
    """What a route asks of RTP, before its outputs.

    `rtp`, `arrivals` (histogram) and `pacing` (index from `RouteTable.add_pacing`) need `rtp`. `run`
    (0..MAX_RUN) is another one where the route's counter belonged to another route before: what is observed then
    begins anew. `merge` is the number of a merge of the table, `path` "A" or "B".
    """

    rtp: bool = False
    arrivals: bool = False
    pacing: int | None = None
    run: int = 0
    merge: int | None = None
    path: str = "A"


def find_window_ns(path_class: str, bits_per_s: int) -> int:
    """Path differential of class "A" to "D" (ST 2022-7:2019), in ns; class C depends on the rate."""
    return lib.fp_merge_class_window_ns(_choose("class", CLASSES, path_class), bits_per_s)


def plan_slots(window_ns: int, frames_per_s: int) -> int:
    """The least slots for a window at this rate, 8 octets of memory each. NativeError E_INVALID where too many."""
    slots = lib.fp_merge_plan_slots(window_ns, frames_per_s)
    if slots > names.MAX_MERGE_SLOTS:
        seen = f"{frames_per_s} frames/s in {window_ns} ns"
        raise NativeError(names.E_INVALID, f"merge: {seen} need more than {names.MAX_MERGE_SLOTS} slots")
    return slots


def write_pacing(pacing: PacingFormat, target: Any) -> None:
    """Fill a zeroed `struct fp_pacing_format`."""
    target.pictures, target.per_s = pacing.rate.numerator, pacing.rate.denominator
    target.sender = _choose("sender", SENDERS, pacing.sender)
    target.schedule = _choose("schedule", SCHEDULES, pacing.schedule)
    target.anchor = _choose("anchor", ANCHORS, pacing.anchor)
    for field in ("packets", "active_lines", "total_lines", "max_udp_bytes", "id", "troffset_ns"):
        _set(target, "format", field, getattr(pacing, field))
    # The worker's clock is CLOCK_MONOTONIC, which began after the epoch: modulo 2^64.
    epoch_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - time.clock_gettime_ns(time.CLOCK_TAI)
    target.epoch_ns = epoch_ns % 2**64


def write_merge(config: MergeConfig, target: Any) -> None:
    """Fill a `struct fp_merge_config`."""
    for field, value in asdict(config).items():
        _set(target, "merge", field, value)


def write_media(media: RouteMedia, target: Any) -> None:
    """Fill a zeroed `struct fp_route_media`."""
    observe = lib.FP_OBSERVE_RTP if media.rtp else 0
    observe |= lib.FP_OBSERVE_ARRIVALS if media.arrivals else 0
    observe |= lib.FP_OBSERVE_PACING if media.pacing is not None else 0
    target.observe = observe
    _set(target, "route", "run", media.run)
    _set(target, "route", "pacing", 0 if media.pacing is None else media.pacing + 1)
    _set(target, "route", "merge", 0 if media.merge is None else media.merge + 1)
    target.path = _choose("path", PATHS, media.path)


def read_media(source: Any) -> RouteMedia | None:
    """A `struct fp_route_media` as a value, None where it asks for nothing."""
    if not (source.observe or source.merge):
        return None
    return RouteMedia(
        rtp=bool(source.observe & lib.FP_OBSERVE_RTP),
        arrivals=bool(source.observe & lib.FP_OBSERVE_ARRIVALS),
        pacing=source.pacing - 1 if source.pacing else None,
        run=source.run,
        merge=source.merge - 1 if source.merge else None,
        path=next(name for name, value in PATHS.items() if value == source.path),
    )


def _choose(what: str, values: dict[str, int], name: str) -> int:
    if name not in values:
        raise NativeError(names.E_INVALID, f"{what}: {name!r} is not one of {', '.join(values)}")
    return values[name]


def _set(target: Any, subject: str, field: str, value: int) -> None:
    try:
        setattr(target, field, value)
    except OverflowError as error:
        raise NativeError(names.E_INVALID, f"{subject}: {field} {value} does not fit") from error
