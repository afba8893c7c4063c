# SPDX-License-Identifier: Apache-2.0
"""The configuration agrees with the fast path it may not import, and with every place that shows it."""

import re
from pathlib import Path
from typing import get_args

import pytest

from appliance.config import device, schema
from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.config.schema import Config
from appliance.fastpath import names
from appliance.host import ports
from appliance.worker import opened

ROOT = Path(__file__).parents[2]
HEADER = (ROOT / "native/include/fastpath.h").read_text()


SECTIONS = (
    Config, schema.Worker, schema.Port, schema.XdpOptions, schema.CrossConnect, schema.Route, schema.Match,
    schema.Output, schema.VlanChange,
)  # fmt: skip


def read_limit(name: str) -> int:
    found = re.search(rf"#define {name} (\d+)", HEADER)
    assert found is not None, f"{name} is not in fastpath.h"
    return int(found[1])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (schema.MAX_OUTPUTS, "FP_MAX_OUTPUTS"),
        (schema.MAX_PORTS_PER_WORKER, "FP_MAX_PORTS"),
        (schema.MAX_ROUTES_PER_WORKER, "FP_MAX_ROUTES"),
        (schema.MAX_SHAPES_PER_WORKER, "FP_MAX_SHAPES"),
        (schema.MAX_REWRITES_PER_WORKER, "FP_MAX_REWRITES"),
        (device.NAME_BYTES, "FP_NAME_BYTES"),
        (schema.MIN_RING_SLOTS, "FP_BURST_FRAMES"),
    ],
)
def test_limits_are_those_of_the_fast_path(ours: int, theirs: str) -> None:
    assert ours == read_limit(theirs)


def test_a_name_fits_into_the_fast_path() -> None:
    longest = "a" * (names.NAME_BYTES - 1)
    assert re.fullmatch(schema.NAME_PATTERN, longest)
    assert not re.fullmatch(schema.NAME_PATTERN, longest + "a")


def test_wait_modes_are_those_of_the_fast_path() -> None:
    assert set(get_args(schema.WaitMode)) == set(names.WAITS.values())


def test_device_kinds_are_those_of_the_fast_path() -> None:
    assert {kind.value for kind in device.DeviceKind} == set(names.KINDS.values())


def test_the_default_of_ring_slots() -> None:
    slots = schema.Port.model_fields["ring_slots"].description
    assert slots is not None
    found = re.search(r"0 is (\d+); netmap: what the driver has", HEADER)
    assert found is not None
    assert f"absent: {found[1]}" in slots


def test_the_size_check_uses_the_buffers_a_worker_has() -> None:
    assert ports.XDP_BUFFER_BYTES == opened.BUFFER_BYTES


def read_yaml_example(page: Path) -> str:
    found = re.search(r"```yaml\n(version: 1\n.*?)```", page.read_text(), re.DOTALL)
    assert found is not None, f"{page} shows no configuration"
    return found[1]


def test_the_example_of_the_architecture_page_is_accepted() -> None:
    config = parse_config(read_yaml_example(ROOT / "ARCHITECTURE.md"), "ARCHITECTURE.md").config
    shown: set[str] = set()
    text = read_yaml_example(ROOT / "ARCHITECTURE.md")
    for section in SECTIONS:
        shown |= {info.alias or name for name, info in section.model_fields.items()}
    missing = {name for name in shown if f"{name}:" not in text}
    assert missing == set(), "the example shows every field"
    assert config.workers[0].cpu == 1
    for mode in get_args(schema.WaitMode):
        assert mode in text


GUIDE = (ROOT / "docs/operations/routes.md").read_text()


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL))
def test_the_examples_of_the_guide_are_accepted(example: str) -> None:
    config = parse_config(example, "routes.md").config
    assert resolve_tables(config).entries["main"]


def test_the_guide_shows_what_routes_can_do() -> None:
    shown = {field for section in SECTIONS[4:] for field in section.model_fields} - {"udp_source"}
    assert {field for field in shown if f"{field}:" not in GUIDE and f"`{field}" not in GUIDE} == {"pop"}
