# SPDX-License-Identifier: Apache-2.0
"""Law 5 as arithmetic."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.fastpath import PortCounters, PortHealth, PortInfo
from appliance.fastpath.names import DROP_LABELS
from appliance.telemetry import is_balanced, render_account, sum_accounts
from appliance.telemetry.account import count_unaccounted, count_unaccounted_copies
from appliance.telemetry.collect import build_port_record

HEALTH = PortHealth("up", since_ns=0, outages=0, reopened=0, unconfirmed_frames=0, open_error=None)
COUNTERS = PortCounters(
    received_frames=100,
    received_bytes=6400,
    forwarded_frames=80,
    merged_frames=5,
    to_host_frames=2,
    held_frames=1,
    dropped_frames=dict.fromkeys(DROP_LABELS, 0) | {"no_route": 7, "fragment": 5},
    missed_frames=0,
    passed_to_host_frames=0,
    offered_frames=90,
    transmitted_frames=80,
    transmitted_bytes=5120,
    tx_full_frames=8,
    tx_too_long_frames=2,
    swapped_frames=60,
    copied_frames=20,
    bursts=4,
    sync_errors=0,
)
INFO = PortInfo("red-in", "memory:a", "memory", "virtual", 1, 1, 1, 64, 64, 2048)
INGRESS = ("received_frames", "forwarded_frames", "merged_frames", "to_host_frames", "held_frames")
EGRESS = ("offered_frames", "transmitted_frames", "tx_full_frames", "tx_too_long_frames")


def test_a_balanced_port() -> None:
    assert is_balanced(COUNTERS)


@pytest.mark.parametrize("field", INGRESS + EGRESS)
@pytest.mark.parametrize("change", [-1, 1])
def test_one_frame_too_many_or_too_few_shows(field: str, change: int) -> None:
    counters = replace(COUNTERS, **{field: getattr(COUNTERS, field) + change})
    assert not is_balanced(counters)
    ingress, egress = count_unaccounted(counters), count_unaccounted_copies(counters)
    assert (abs(ingress), abs(egress)) == ((1, 0) if field in INGRESS else (0, 1))


@pytest.mark.parametrize("reason", DROP_LABELS)
def test_every_drop_reason_counts(reason: str) -> None:
    dropped = COUNTERS.dropped_frames | {reason: COUNTERS.dropped_frames[reason] + 1}
    assert count_unaccounted(replace(COUNTERS, dropped_frames=dropped)) == -1


@given(st.lists(st.dictionaries(st.sampled_from(INGRESS), st.integers(0, 2**64 - 1)), max_size=5))
def test_sums(changes: list[dict[str, Any]]) -> None:
    ports = [replace(COUNTERS, **change) for change in changes]
    account = sum_accounts(ports)
    for field in INGRESS:
        assert getattr(account, field) == sum(getattr(port, field) for port in ports)
    assert sum(account.dropped_frames.values()) == 12 * len(ports)
    assert count_unaccounted(account) == sum(count_unaccounted(port) for port in ports)


def test_the_account_as_text() -> None:
    text = render_account([build_port_record("main", INFO, COUNTERS, HEALTH)])
    assert text.splitlines() == [
        "received 100 = forwarded 80 + merged 5 + to host 2 + dropped 12 + held 1",
        "  dropped fragment: 5",
        "  dropped no_route: 7",
        "  port red-in (memory:a, virtual): received 100, transmitted 80 of 90 offered, TX ring full 8, too long 2",
    ]


def test_an_unbalanced_account_says_so() -> None:
    text = render_account([build_port_record("main", INFO, replace(COUNTERS, received_frames=103), HEALTH)])
    assert text.splitlines()[0].endswith("; UNBALANCED: 3 frames are not accounted for")
