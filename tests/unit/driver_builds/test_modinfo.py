# SPDX-License-Identifier: Apache-2.0
"""Module files: what a good one says, and that no damaged one does more than raise."""

import contextlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driver_builds.errors import ModuleFileError
from driver_builds.modinfo import load_module_info, parse_module, parse_symbol_versions

from .conftest import VERMAGIC, build_module

MakeModule = Callable[..., bytes]
WHOLE = build_module(versions={"module_layout": 1, "netmap_attach": 2})


def test_a_module(make_module: MakeModule, tmp_path: Path) -> None:
    fields = [
        ("license", "GPL v2"),
        ("alias", "pci:v00008086d*"),
        ("parm", "copybreak:Maximum size (uint)"),
        ("parm", "debug:Level=0 (int)"),
        ("depends", "ptp,netmap"),
        ("srcversion", "0123456789ABCDEF"),
        ("name", "e1000e"),
        ("vermagic", VERMAGIC),
    ]
    path = tmp_path / "e1000e.ko"
    path.write_bytes(make_module(fields, {"module_layout": 0xBA338A7E, "netmap_attach": 0xF05AB827}))
    info = load_module_info(path)
    assert (info.name, info.release) == ("e1000e", "6.1.0-56-amd64")
    assert info.vermagic == VERMAGIC.strip()
    assert info.depends == ("netmap", "ptp")
    assert (info.srcversion, info.license) == ("0123456789ABCDEF", "GPL v2")
    assert info.parameters == ("copybreak", "debug")
    assert info.versions == {"module_layout": 0xBA338A7E, "netmap_attach": 0xF05AB827}


def test_a_compressed_module(tmp_path: Path) -> None:
    path = tmp_path / "e1000.ko.xz"
    path.write_bytes(lzma.compress(WHOLE))
    assert load_module_info(path).name == "e1000"
    path.write_bytes(lzma.compress(WHOLE)[:-20])
    with pytest.raises(ModuleFileError, match=r"e1000\.ko\.xz: cannot be read"):
        load_module_info(path)


def test_without_dependencies_and_versions(make_module: MakeModule) -> None:
    info = parse_module(make_module([("name", "netmap"), ("vermagic", VERMAGIC), ("depends", "")]))
    assert (info.depends, info.versions, info.srcversion) == ((), {}, None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not an ELF file"),
        (b"#!/bin/sh\n" * 20, "not an ELF file"),
        (WHOLE[:40], "not an ELF file"),
        (WHOLE[:4] + b"\x01" + WHOLE[5:], "only amd64 modules"),
        (WHOLE[:16] + b"\x03" + WHOLE[17:], "ELF type 3"),
        (WHOLE[:-1], "cut off"),
        (build_module([("name", "x")]), "no vermagic"),
        (build_module([]), "no name"),
    ],
)
def test_what_is_no_module(data: bytes, said: str) -> None:
    with pytest.raises(ModuleFileError, match=said):
        parse_module(data)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModuleFileError, match=r"none\.ko: cannot be read"):
        load_module_info(tmp_path / "none.ko")


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_byte_never_does_more_than_raise(position: int, value: int) -> None:
    damaged = WHOLE[:position] + bytes([value]) + WHOLE[position + 1 :]
    with contextlib.suppress(ModuleFileError):
        parse_module(damaged)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE)))
def test_a_cut_file_is_never_taken_for_whole(length: int) -> None:
    if length == len(WHOLE):
        parse_module(WHOLE)
        return
    with pytest.raises(ModuleFileError):
        parse_module(WHOLE[:length])


def test_symbol_versions() -> None:
    text = "0xba338a7e\tnetmap_attach\tnetmap\tEXPORT_SYMBOL\t\n0x00000001\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\n"
    assert parse_symbol_versions(text) == {"netmap_attach": 0xBA338A7E, "module_layout": 1}
    assert parse_symbol_versions("") == {}
