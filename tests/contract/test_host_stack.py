# SPDX-License-Identifier: Apache-2.0
"""`host_stack` in the configuration, in the fast path and in ARCHITECTURE.md says the same."""

import re
from pathlib import Path
from typing import get_args

import pytest

from appliance.config import host_stack
from appliance.fastpath import names

ROOT = Path(__file__).parents[2]


def test_the_classes_are_those_of_the_fast_path() -> None:
    assert get_args(host_stack.HostClass) == tuple(names.HOST_CLASSES)


def test_every_class_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", host_stack.__doc__ or "", re.MULTILINE)
    assert tuple(described) == get_args(host_stack.HostClass)
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    assert f"host_stack: [{', '.join(described)}]" in architecture


def test_bits_of_all_classes_are_the_fast_paths_set() -> None:
    header = (ROOT / "native/include/fastpath.h").read_text()
    found = re.search(r"#define FP_HOST_ANY (0x[0-9a-f]+)", header)
    assert found is not None
    assert names.parse_host_classes(names.HOST_CLASSES) == int(found[1], 16)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="host class 'ssh' is not known; write one of arp, nd, "):
        names.parse_host_classes(["arp", "ssh"])
