# SPDX-License-Identifier: Apache-2.0
"""Was exactly what was sent received: the same bytes, in the same order, each frame once and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Frames counted. `unknown` frames were received but never sent: altered, or from somewhere else."""

    sent: int
    received: int
    lost: int
    duplicated: int
    unknown: int
    first_difference: int | None
    """Index of the first frame that is not the one sent at that place; None where all are."""

    @property
    def identical(self) -> bool:
        """True where received frames are the sent ones, byte for byte, in order, once."""
        return self.first_difference is None

    def describe(self) -> str:
        """One line for the report."""
        if self.identical:
            return f"{self.sent} frames in, {self.received} out, byte-identical and in order"
        parts = [f"{self.lost} lost", f"{self.duplicated} duplicated", f"{self.unknown} never sent"]
        if not (self.lost or self.duplicated or self.unknown):
            parts = ["all of them, but in another order"]
        seen = f"{self.sent} frames in, {self.received} out: {', '.join(parts)}"
        return f"{seen}; first difference at frame {self.first_difference}"


def compare_frames(sent: Sequence[bytes], received: Sequence[bytes]) -> Comparison:
    """Compare two sequences of frames; equal frames that were sent n times are wanted n times."""
    wanted = Counter(sent)
    got = Counter(received)
    lost = sum((wanted - got).values())
    surplus = got - wanted
    duplicated = sum(count for data, count in surplus.items() if data in wanted)
    return Comparison(
        sent=len(sent),
        received=len(received),
        lost=lost,
        duplicated=duplicated,
        unknown=sum(surplus.values()) - duplicated,
        first_difference=_first_difference(sent, received),
    )


def _first_difference(sent: Sequence[bytes], received: Sequence[bytes]) -> int | None:
    for index, (wanted, got) in enumerate(zip(sent, received, strict=False)):
        if wanted != got:
            return index
    return None if len(sent) == len(received) else min(len(sent), len(received))
