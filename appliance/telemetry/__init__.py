# SPDX-License-Identifier: Apache-2.0
"""Counters for people and programs: state segments -> records -> status, Prometheus, the final account.

`collect` and `media` read, `account` computes, `problems` judges, `prometheus` exports; `records` is what they pass on.
"""

from appliance.telemetry.account import is_balanced, render_account, sum_accounts
from appliance.telemetry.collect import collect_observation
from appliance.telemetry.media import MediaIndex, MergeIndex
from appliance.telemetry.prometheus import build_registry, render_metrics
from appliance.telemetry.records import (
    Account,
    DiscoveredRecord,
    MembershipRecord,
    Observation,
    PortRecord,
    ProtectedRecord,
    RouteRecord,
    WorkerRecord,
)

__all__ = [
    "Account",
    "DiscoveredRecord",
    "MediaIndex",
    "MembershipRecord",
    "MergeIndex",
    "Observation",
    "PortRecord",
    "ProtectedRecord",
    "RouteRecord",
    "WorkerRecord",
    "build_registry",
    "collect_observation",
    "is_balanced",
    "render_account",
    "render_metrics",
    "sum_accounts",
]
