# SPDX-License-Identifier: Apache-2.0
"""The configuration agrees with the fast path it may not import, and with every place that shows it."""

import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

from appliance.config import device, schema
from appliance.config.entries import resolve_tables
from appliance.config.load import parse_config
from appliance.config.schema import Config
from appliance.daemon.counters import assign_counters, read_nothing
from appliance.daemon.media import assign_media
from appliance.daemon.publish import build_route, build_table
from appliance.fastpath import Match, Rewrite, Route, names
from appliance.host import ports
from appliance.worker import opened

ROOT = Path(__file__).parents[2]
HEADER = (ROOT / "native/include/fastpath.h").read_text()


SECTIONS = (
    Config, schema.Worker, schema.Port, schema.XdpOptions, schema.BusyPoll, schema.CrossConnect, schema.Route,
    schema.Match, schema.Output, schema.VlanChange, schema.Protect, schema.Observe, schema.Pacing,
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


GUIDE = "".join((ROOT / "docs/operations" / page).read_text() for page in ("routes.md", "protection.md"))
GUIDE_EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def build_routes(text: str) -> list[Route]:
    config = parse_config(text, "example.yaml").config
    indices = {port.name: index for index, port in enumerate(config.ports)}
    return [build_route(entry, indices, 0) for entry in resolve_tables(config).entries["main"]]


@pytest.mark.parametrize("example", [read_yaml_example(ROOT / "ARCHITECTURE.md"), *GUIDE_EXAMPLES])
def test_the_fast_path_takes_the_examples(example: str) -> None:
    """With merges, formats and all they observe."""
    config = parse_config(example, "example.yaml").config
    tables = resolve_tables(config)
    entries = tables.entries["main"]
    counters = assign_counters({}, tables.list_fates("main"), read_nothing)
    ports = {port.name: index for index, port in enumerate(config.ports)}
    with build_table(
        "main", entries, ports, assign_media({}, counters, entries, 1, 1), config.discover
    ) as table:
        assert len(table) == len(entries)


def test_the_guide_shows_what_routes_can_do() -> None:
    shown = {info.alias or name for section in SECTIONS[5:] for name, info in section.model_fields.items()}
    assert {field for field in shown if f"{field}:" not in GUIDE and f"`{field}" not in GUIDE} == {"pop"}


def test_everything_the_fast_path_can_do_can_be_written() -> None:
    """Every field of fp_match, every bit of fp_rewrite and FP_ROUTE_TO_HOST are in an example's table."""
    texts = [read_yaml_example(ROOT / "ARCHITECTURE.md"), *GUIDE_EXAMPLES]
    routes = [route for text in texts for route in build_routes(text)]
    rewrites = [output.rewrite for route in routes for output in route.outputs if output.rewrite is not None]
    for values in ([route.match for route in routes], rewrites):
        names_of_fields = {field.name for field in dataclasses.fields(values[0])}
        used = {name for value in values for name in names_of_fields if getattr(value, name)}
        assert used == names_of_fields
    assert any(route.to_host for route in routes)
    assert any(not route.outputs for route in routes)


def test_the_wrapper_knows_every_bit_of_the_header() -> None:
    header_fields = {name.lower() for name in re.findall(r"#define FP_MATCH_(\w+) 0x", HEADER)} - {"fields"}
    addresses = {"destination", "source", "priority"}
    assert {field.name for field in dataclasses.fields(Match)} == header_fields | addresses
    bits = re.findall(r"#define FP_(SET|PUSH|POP|DECREMENT)_(\w+) 0x", HEADER)
    named = {"_".join(part).lower() for part in bits} - {"set_any"}
    fields = {field.name for field in dataclasses.fields(Rewrite)}
    assert {name if name in fields else name.removeprefix("set_") for name in named} == fields
