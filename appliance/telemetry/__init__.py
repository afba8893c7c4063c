# SPDX-License-Identifier: Apache-2.0
"""Counters for people and programs: state segments -> records -> status, Prometheus, the final account.

`collect` reads, `account` computes, `problems` judges, `prometheus` exports; `records` is what they pass on.
"""

from appliance.telemetry.account import is_balanced, render_account, sum_accounts
from appliance.telemetry.collect import collect_observation
from appliance.telemetry.prometheus import build_registry, render_metrics
from appliance.telemetry.records import (
    Account,
    MembershipRecord,
    Observation,
    PortRecord,
    RouteRecord,
    WorkerRecord,
)

__all__ = [
    "Account",
    "MembershipRecord",
    "Observation",
    "PortRecord",
    "RouteRecord",
    "WorkerRecord",
    "build_registry",
    "collect_observation",
    "is_balanced",
    "render_account",
    "render_metrics",
    "sum_accounts",
]
