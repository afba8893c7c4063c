# SPDX-License-Identifier: Apache-2.0
"""The back-off of restarts."""

from appliance.daemon.restarts import FIRST_DELAY_S, LONGEST_DELAY_S, compute_delay_s


def test_delays_double_up_to_a_limit() -> None:
    assert [compute_delay_s(failures) for failures in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert compute_delay_s(0) == FIRST_DELAY_S
    assert compute_delay_s(1000) == LONGEST_DELAY_S
