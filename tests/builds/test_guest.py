# SPDX-License-Identifier: Apache-2.0
"""Built is not works: `driver-builds test` with the real modules, in a guest of their own kernel."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def found(builder: Builder, artifacts: Path, release: str) -> dict[str, Any]:
    """What `test --again` found of e1000 and e1000e, by module; it boots whatever was found before."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("NOT TESTED: the drivers in a guest. apt-get install qemu-system-x86 to enable it")
    arguments = ["--kernel", release, "--artifacts", str(artifacts.parent)]
    done = builder.run("test", *arguments, "--again", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (kernel,) = json.loads(done.stdout)["kernels"]
    assert kernel["guests"] == 1
    return {result["name"]: result for result in kernel["results"]}


def test_frames_moved_over_native_adapters(found: dict[str, Any]) -> None:
    assert found["netmap"]["adapter"] == "virtual"
    for name in ("e1000", "e1000e"):
        assert (found[name]["evidence"], found[name]["adapter"]) == ("moved", "native")
        assert found[name]["frames"] == 2 * (4 * 240 + 2000 + 240)
        assert found[name]["reloads"] == 6


def test_removal_while_open_was_seen_to_its_end(found: dict[str, Any]) -> None:
    for name in ("e1000", "e1000e"):
        assert found[name]["remove_while_open"]


def test_nothing_is_tested_twice(
    builder: Builder, found: dict[str, Any], artifacts: Path, release: str
) -> None:
    done = builder.run("test", "--kernel", release, "--artifacts", str(artifacts.parent), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (kernel,) = json.loads(done.stdout)["kernels"]
    assert kernel["guests"] == 0
    assert {result["name"]: result for result in kernel["results"]} == found


def test_the_matrix_shows_it(builder: Builder, found: dict[str, Any], artifacts: Path, release: str) -> None:
    drivers = ["--driver", "e1000", "--driver", "e1000e"]
    run = ["--kernel", release, "--artifacts", str(artifacts.parent), "--run", "--json"]
    done = builder.run("matrix", *drivers, *run)
    assert done.returncode == 0, done.stdout + done.stderr
    (kernel,) = json.loads(done.stdout)["kernels"]
    assert {name: cell["state"] for name, cell in kernel["cells"].items()} == {
        "netmap": "moved",
        "e1000": "moved",
        "e1000e": "moved",
    }
