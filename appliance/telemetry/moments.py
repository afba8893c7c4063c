# SPDX-License-Identifier: Apache-2.0
"""Moments as records have them, in ns of CLOCK_REALTIME or CLOCK_MONOTONIC, as a person reads them."""

import time
from datetime import UTC, datetime

_NS_PER_S = 1_000_000_000


def render_moment(realtime_ns: int) -> str:
    """`2026-11-22 21:45:48 UTC`."""
    return f"{datetime.fromtimestamp(realtime_ns / _NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"


def render_monotonic(monotonic_ns: int) -> str:
    """The same of a time of CLOCK_MONOTONIC."""
    return render_moment(monotonic_ns + measure_offset_ns())


def measure_offset_ns() -> int:
    """What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, as of now."""
    return time.time_ns() - time.monotonic_ns()
