# SPDX-License-Identifier: Apache-2.0
"""Names and limits of the fast path, read from the compiled extension so that they are written once.

`native/include/fastpath.h` declares them; nothing here repeats a label, a code or a number of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.fastpath._native import ffi, lib

STATE_VERSION: int = lib.FP_STATE_VERSION
CAPTURE_SLOTS: int = lib.FP_CAPTURE_SLOTS
CAPTURE_BYTES: int = lib.FP_CAPTURE_BYTES
NAME_BYTES: int = lib.FP_NAME_BYTES  # names and device specs, the NUL included
MAX_PORTS: int = lib.FP_MAX_PORTS
MAX_OUTPUTS: int = lib.FP_MAX_OUTPUTS
MAX_ROUTES: int = lib.FP_MAX_ROUTES
DIGEST_BYTES: int = lib.FP_DIGEST_BYTES
TURN_FRAMES: int = lib.FP_TURN_FRAMES
MAX_SHAPES: int = lib.FP_MAX_SHAPES  # sets of compared fields and prefix lengths in one table
MAX_REWRITES: int = lib.FP_MAX_REWRITES  # outputs with a rewrite in one table
MAX_MERGES: int = lib.FP_MAX_MERGES  # of one table
MAX_MERGE_SLOTS: int = lib.FP_MAX_MERGE_SLOTS  # of one merge
MAX_PACING: int = lib.FP_MAX_PACING  # formats of one table
MAX_RUN: int = lib.FP_MAX_RUN
MAX_HOLD_BUFFERS: int = lib.FP_MAX_HOLD_BUFFERS  # of one memory region, for frames that merges hold
HOLD_SPARE_FRAMES: int = lib.FP_HOLD_SPARE_FRAMES
MERGE_ARENA_BYTES: int = lib.FP_MERGE_ARENA_BYTES  # of all merges of a worker
NO_VLAN: int = lib.FP_VLAN_NONE  # key field: the frame carries no such tag
NOT_RTP: int = lib.FP_NOT_RTP  # key field payload_type: the frame carries no RTP

E_INVALID: int = lib.FP_E_INVALID
E_NO_MEMORY: int = lib.FP_E_NO_MEMORY
E_SYSTEM: int = lib.FP_E_SYSTEM
E_NO_NETMAP: int = lib.FP_E_NO_NETMAP
E_NETMAP_VERSION: int = lib.FP_E_NETMAP_VERSION
E_NOT_NATIVE: int = lib.FP_E_NOT_NATIVE
E_NO_DEVICE: int = lib.FP_E_NO_DEVICE
E_BUSY: int = lib.FP_E_BUSY
E_UNSUPPORTED: int = lib.FP_E_UNSUPPORTED
E_TABLE_FULL: int = lib.FP_E_TABLE_FULL
E_DUPLICATE: int = lib.FP_E_DUPLICATE
E_NOT_ACKNOWLEDGED: int = lib.FP_E_NOT_ACKNOWLEDGED
E_STATE_VERSION: int = lib.FP_E_STATE_VERSION
E_TORN: int = lib.FP_E_TORN
E_SPEC: int = lib.FP_E_SPEC
E_REGION: int = lib.FP_E_REGION
E_MTU: int = lib.FP_E_MTU
E_SHAPES: int = lib.FP_E_SHAPES
E_MERGE_MEMORY: int = lib.FP_E_MERGE_MEMORY
E_NO_BUSY_POLL: int = lib.FP_E_NO_BUSY_POLL
E_HOLD_REGION: int = lib.FP_E_HOLD_REGION
E_HOLD_BUFFERS: int = lib.FP_E_HOLD_BUFFERS
E_NO_KLOOP: int = lib.FP_E_NO_KLOOP


@dataclass(frozen=True, slots=True)
class DropReason:
    """Why a frame was dropped by decision. `index` is of `enum fp_drop`, `label` the name in status."""

    index: int
    label: str
    meaning: str


def _enum_labels(cdecl: str, prefix: str) -> dict[int, str]:
    """Value -> lower-case name without the prefix: FP_ADAPTER_XDP_COPY -> "xdp_copy"."""
    elements: dict[int, str] = ffi.typeof(cdecl).elements
    return {value: name.removeprefix(prefix).lower() for value, name in sorted(elements.items())}


def _decode(text: object) -> str:
    return ffi.string(text).decode()


DROP_REASONS: tuple[DropReason, ...] = tuple(
    DropReason(index, _decode(lib.fp_drop_label(index)), _decode(lib.fp_drop_text(index)))
    for index in range(lib.FP_DROP_COUNT)
)
DROP_LABELS: tuple[str, ...] = tuple(reason.label for reason in DROP_REASONS)

# Value -> name of each enumeration, in C's order: {1: "netmap", 2: "xdp", 3: "memory"} and so on.
KINDS: dict[int, str] = _enum_labels("enum fp_port_kind", "FP_PORT_")
ADAPTERS: dict[int, str] = _enum_labels("enum fp_adapter", "FP_ADAPTER_")
SYNCS: dict[int, str] = _enum_labels("enum fp_sync", "FP_SYNC_")
PORT_STATES: dict[int, str] = _enum_labels("enum fp_port_state", "FP_PORT_IS_")
WAITS: dict[int, str] = _enum_labels("enum fp_wait", "FP_WAIT_")
# Code -> its name in C: {-1: "FP_E_INVALID", ...}. 0 is success and left out.
ERRORS: dict[int, str] = {code: name for code, name in ffi.typeof("enum fp_error").elements.items() if code}


# Class of frames -> its bit: {"arp": 1, "nd": 2, ...}.
HOST_CLASSES: dict[str, int] = {label: bit for bit, label in _enum_labels("enum fp_host", "FP_HOST_").items()}


def parse_host_classes(classes: Iterable[str]) -> int:
    """The bits of classes such as "arp" and "ptp". ValueError names what is allowed."""
    bits = 0
    for name in classes:
        if name not in HOST_CLASSES:
            raise ValueError(f"host class {name!r} is not known; write one of {', '.join(HOST_CLASSES)}")
        bits |= HOST_CLASSES[name]
    return bits


def parse_wait(name: str) -> int:
    """The `enum fp_wait` value of "poll", "busy" or "adaptive". ValueError names what is allowed."""
    for value, label in WAITS.items():
        if label == name:
            return value
    raise ValueError(f"wait: {name!r} is not known; write one of {', '.join(WAITS.values())}")


def error_text(code: int) -> str:
    """What a person is told about an `enum fp_error` code when nothing better is known."""
    return _decode(lib.fp_error_text(code))
