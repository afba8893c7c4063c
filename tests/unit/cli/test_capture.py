# SPDX-License-Identifier: Apache-2.0
"""Which routes can be captured, and what their counters are called."""

from collections.abc import Sequence

import pytest

from appliance.cli.capture import choose_routes
from appliance.config.load import parse_config
from appliance.config.schema import Config
from appliance.errors import UsageError

TEXT = """\
version: 1
ports:
  - {name: red, device: "memory:a", default: rest}
  - {name: blue, device: "memory:b"}
  - {name: out, device: "memory:c"}
routes:
  - {name: one, match: {port: red, group: 239.1.1.1}, outputs: [out], mirror: 10}
  - {name: other, match: {port: red, group: 239.1.1.2}, outputs: [out]}
  - {name: rest, outputs: [out], mirror: 1}
  - name: both
    protect:
      a: {port: red, group: 239.1.1.3, udp_port: 5000}
      b: {port: blue, group: 239.1.1.3, udp_port: 5000}
      class: A
      frames_per_s: 8000
    outputs: [out]
    mirror: 100
"""


def load(text: str = TEXT) -> Config:
    return parse_config(text, "c.yaml").config


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], {"one", "rest", "both path A", "both path B"}),
        (["both"], {"both path A", "both path B"}),
        (["one", "rest"], {"one", "rest"}),
    ],
)
def test_counters_of_the_routes_that_are_named(names: Sequence[str], wanted: set[str]) -> None:
    assert choose_routes(load(), names) == wanted


@pytest.mark.parametrize("name", ["other", "none", "both path A"])
def test_a_route_that_mirrors_nothing(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}: .*; those that have: one, rest, both"):
        choose_routes(load(), [name])


def test_no_route_mirrors() -> None:
    text = "".join(line for line in TEXT.splitlines(keepends=True) if "mirror: 100" not in line)
    with pytest.raises(UsageError, match="no active route has `mirror:`"):
        choose_routes(load(text.replace(", mirror: 10}", "}").replace(", mirror: 1}", "}")), [])
