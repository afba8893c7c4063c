# SPDX-License-Identifier: Apache-2.0
"""Thousands of routes: the time to check, plan, resolve and build grows with their number, not with its square."""

import time

import pytest

from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.config.plan import plan_changes
from appliance.daemon.counters import assign_counters, read_nothing
from appliance.daemon.publish import build_table
from appliance.errors import ConfigError

FEW, MANY = 600, 6_000
# Of CPU time for each route. A square would be MANY / FEW = 10; caches and garbage collection cost less than 2.
MOST_GROWTH = 4


def render_configuration(routes: int, dscp: int) -> str:
    lines = [
        "version: 1",
        "ports:",
        *(f"  - {{name: p{port}, device: 'memory:{port}'}}" for port in range(4)),
    ]
    lines.append("routes:")
    for number in range(routes):
        group = f"{number >> 8}.{number & 255}"
        lines += [
            f"  - name: r{number}",
            f"    match: {{port: p0, vlan: {number % 3}, group: 239.1.{group}, udp_port: 5004}}",
            f"    outputs: [p1, {{port: p{2 + number % 2}, group: 239.2.{group}, dscp: {dscp}}}]",
        ]
    return "\n".join([*lines, ""])


def carry_out(routes: int) -> float:
    """CPU seconds a route, of everything between a file's text and a table."""
    texts = [render_configuration(routes, dscp) for dscp in (1, 2)]
    began_s = time.process_time()
    before, after = (parse_config(text, "c.yaml").config for text in texts)
    assert len(plan_changes(before, after)) == routes
    tables = resolve_tables(after)
    counters = assign_counters({}, tables.list_fates("main"), read_nothing)
    ports = {f"p{port}": port for port in range(4)}
    with build_table("main", tables.entries["main"], ports, counters) as table:
        assert len(table) == routes
    return (time.process_time() - began_s) / routes


def test_time_grows_with_the_number_of_routes() -> None:
    few_s = min(carry_out(FEW) for _ in range(3))
    many_s = carry_out(MANY)
    assert many_s < MOST_GROWTH * few_s


def test_many_refusals_are_quick_too() -> None:
    """Every route names a port that does not exist: a message each, no search that grows with their number."""
    text = render_configuration(2_000, 1).replace("port: p0,", "port: q0,")
    few_s, many_s = (refuse(part) for part in (text[: text.index("  - name: r500\n")], text))
    assert many_s / 2_000 < MOST_GROWTH * few_s / 500


def refuse(text: str) -> float:
    """CPU seconds."""
    began_s = time.process_time()
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "c.yaml")
    took_s = time.process_time() - began_s
    assert len(refusal.value.problems) == text.count("q0")
    return took_s
