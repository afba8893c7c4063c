# SPDX-License-Identifier: Apache-2.0
"""Waiting for another thread or process; a limit far above what it takes, so that a hang becomes a failure."""

import time
from collections.abc import Callable

LIMIT_S = 60.0
PAUSE_S = 0.0005


def wait_until(reached: Callable[[], bool]) -> None:
    """Return when `reached()` is true. AssertionError after LIMIT_S."""
    end = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < end, f"not reached within {LIMIT_S} s"
        time.sleep(PAUSE_S)
