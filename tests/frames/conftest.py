# SPDX-License-Identifier: Apache-2.0
"""Hypothesis profiles, and a folder for state segments.

`HYPOTHESIS_PROFILE=thorough` runs far more examples (minutes instead of seconds).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

SLOW_EXAMPLES = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("default", max_examples=200, deadline=None, suppress_health_check=SLOW_EXAMPLES)
settings.register_profile("thorough", max_examples=5000, deadline=None, suppress_health_check=SLOW_EXAMPLES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def tmpfs() -> Iterator[Path]:
    """A folder in memory: state segments live on tmpfs (ARCHITECTURE.md)."""
    shared_memory = Path("/dev/shm")
    with TemporaryDirectory(
        prefix="frames-", dir=shared_memory if shared_memory.is_dir() else None
    ) as folder:
        yield Path(folder)
