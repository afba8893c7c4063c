# SPDX-License-Identifier: Apache-2.0
"""The YAML that is accepted, and that nothing else brings the reader down."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.load import load_config, parse_config
from appliance.config.yaml_source import parse_yaml, render_location
from appliance.errors import ConfigError, UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("010", 10),
        ("10:20", "10:20"),
        ("2026-11-22", "2026-11-22"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("-5", -5),
        ("1.5", 1.5),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("'6000'", "6000"),
        ("ff3e::1", "ff3e::1"),
        ("<<", "<<"),
    ],
)
def test_scalars_of_the_core_schema(text: str, value: object) -> None:
    source = parse_yaml(f"a: {text}\n", "c.yaml")
    assert source.problems == []
    assert source.value == {"a": value}
    assert isinstance(source.value, dict)
    assert type(source.value["a"]) is type(value)


def test_lines() -> None:
    source = parse_yaml("a:\n  - b: 1\n    c: {d: 2,\n      e: 3}\n", "c.yaml")
    found = {render_location(where): line for where, line in source.lines.items()}
    assert found | {"a": 1, "a[0]": 2, "a[0].b": 2, "a[0].c": 3, "a[0].c.d": 3, "a[0].c.e": 4} == found
    assert source.find_line(("a", 0, "c", "nothing", "there")) == 3


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "c.yaml:1: the file is empty; start with `version: 1`"),
        ("# only this\n", "c.yaml:1: the file is empty; start with `version: 1`"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2: a second document begins; one is wanted"),
        ("a: \x01\n", "c.yaml:1: character U+0001 is not allowed; remove it"),
        ("[" * 100_000, "c.yaml:1: nested too deeply; no field goes that deep"),
        ("{a: " * 100_000, "c.yaml:1: nested too deeply; no field goes that deep"),
        ("- " * 100_000, "c.yaml:1: nested too deeply; no field goes that deep"),
        ("- 1\n", "c.yaml:1: a list is not a mapping; write `field: value` lines"),
    ],
)
def test_texts_that_are_no_configuration(text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "c.yaml")
    assert refusal.value.message == wanted


def test_syntax_errors_name_the_line() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config("version: 1\nports: [\n", "c.yaml")
    # The reason is the YAML library's, and differs with and without libyaml.
    assert refusal.value.message.startswith("c.yaml:3: not YAML: ")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-{}[]&*!|>'\"#%@`,? \n\t01~<\\\x00é"), max_size=60))
def test_no_text_brings_it_down(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "c.yaml")
    assert all(problem.startswith("c.yaml:") for problem in refusal.value.problems)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"version: 1\nports: \xff\n")
    with pytest.raises(ConfigError) as refusal:
        load_config(path)
    assert refusal.value.message == f"{path}:2: byte 0xff is not UTF-8; save the file as UTF-8"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory; give the path of a configuration"):
        load_config(tmp_path / "c.yaml")
