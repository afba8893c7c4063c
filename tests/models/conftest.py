# SPDX-License-Identifier: Apache-2.0
"""Hypothesis profiles. `HYPOTHESIS_PROFILE=thorough` runs far more examples (minutes instead of seconds)."""

import os

from hypothesis import HealthCheck, settings

SLOW_EXAMPLES = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("default", max_examples=200, deadline=None, suppress_health_check=SLOW_EXAMPLES)
settings.register_profile("thorough", max_examples=5000, deadline=None, suppress_health_check=SLOW_EXAMPLES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
