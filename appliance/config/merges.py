# SPDX-License-Identifier: Apache-2.0
"""From the two paths of a protected flow to the numbers of its merge. Pure.

What the fast path computes the same way (native/src/merge.c) is repeated here, because `check` may not import it;
tests/contract/test_media_contract.py compares the two.
"""

import math
from dataclasses import dataclass

from appliance.config.routes import Route

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# Of native/include/fastpath.h.
MAX_MERGES_PER_WORKER = 1024
MAX_MERGE_SLOTS = 1_048_576
MERGE_ARENA_BYTES = 536_870_912
# Of native/src/merge.h: least slots, slots that are never in use, and no less than sizeof(struct fp_merge).
MIN_MERGE_SLOTS = 512
_RESERVED_SLOTS = 192
_SLOT_BYTES = 8
_HELD_BYTES = 8  # of each slot more, where frames are held
_HEAD_BYTES = 1024

# ST 2022-7:2019, receiver classes.
_CLASS_MS = {"A": 10.0, "B": 50.0, "C": 450.0, "D": 0.15}
_CLASS_C_HIGH_MS = 150
CLASS_C_HIGH_BITS_PER_S = 270_000_000


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge needs: `slots` as many as a window has frames, and some to spare."""

    window_ns: int
    slots: int
    silence_ns: int
    """0: what the fast path takes by itself."""
    hold_frames: int = 0
    """At most, of a flow that leaves in order: a window's, and a quarter to spare. 0: the first copy goes on."""

    @property
    def bytes(self) -> int:
        """Memory of the worker it takes, not less than it does."""
        return _HEAD_BYTES + self.slots * (_SLOT_BYTES + (_HELD_BYTES if self.hold_frames else 0))


def find_window_ns(path_class: str, bits_per_s: int) -> int:
    """Path differential of a class, in ns."""
    if path_class == "C" and bits_per_s >= CLASS_C_HIGH_BITS_PER_S:
        return _CLASS_C_HIGH_MS * NS_PER_MS
    return int(_CLASS_MS[path_class] * NS_PER_MS)


def plan_frames(window_ns: int, frames_per_s: int) -> int:
    """Frames of a window, with a quarter to spare: senders of video pause between pictures and catch up."""
    frames = window_ns * frames_per_s // NS_PER_S + 1
    return frames + frames // 4


def plan_slots(window_ns: int, frames_per_s: int) -> int:
    """The least slots in which a window at this rate fits, with a quarter to spare; a power of two."""
    slots, frames = MIN_MERGE_SLOTS, plan_frames(window_ns, frames_per_s)
    while slots - _RESERVED_SLOTS < frames:
        slots *= 2
    return slots


def find_rates(route: Route) -> tuple[int, int] | None:
    """Frames and bits a second of one path of a protected route; None where the file does not say.

    0 bits a second: the file says frames only.
    """
    assert route.protect is not None
    protect = route.protect
    if protect.format is not None:
        video = protect.format
        return math.ceil(video.packets * video.rate), video.bits_per_s
    if protect.frames_per_s is not None:
        return protect.frames_per_s, protect.bits_per_s or 0
    pacing = route.observe.pacing if route.observe is not None else None
    if pacing is None or not pacing.is_complete:
        return None
    bits = 0 if pacing.format is None else pacing.format.bits_per_s
    return math.ceil(pacing.picture_packets * pacing.picture_rate), bits


def plan_merge(route: Route) -> MergePlan:
    """The merge of a protected route that passed `check_media`."""
    rates = find_rates(route)
    assert route.protect is not None
    assert rates is not None
    protect, (frames_per_s, bits_per_s) = route.protect, rates
    if protect.window_us is not None:
        window_ns = protect.window_us * NS_PER_US
    else:
        assert protect.window_class is not None
        window_ns = find_window_ns(protect.window_class, bits_per_s)
    silence_ns = (protect.silence_ms or 0) * NS_PER_MS
    hold_frames = plan_frames(window_ns, frames_per_s) if protect.is_ordered else 0
    return MergePlan(window_ns, plan_slots(window_ns, frames_per_s), silence_ns, hold_frames)
