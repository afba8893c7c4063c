# SPDX-License-Identifier: Apache-2.0
"""Kernels of other distribution releases than this host's, compiled in a chroot by their own release's compiler."""

import json
import os
from pathlib import Path

import pytest

from driver_builds.distributions import known
from driver_builds.distributions.releases import read_host_name
from driver_builds.modinfo import load_module_info
from driver_builds.release import release_order

from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LINES = [("debian 11", "5.10", None), ("debian 13", "6.12", None), ("debian 12", "6.1", "rt")]


def _list_newest_first(distribution: str, series: str, featureset: str | None) -> list[str]:
    """The amd64 kernels of a line that data/kernels has."""
    found = [
        packages.release
        for packages in known.load_known_kernels().values()
        if (packages.distribution, packages.release.series) == (distribution, series)
        and (packages.release.flavour, packages.release.featureset) == ("amd64", featureset)
    ]
    return [release.text for release in sorted(found, key=release_order, reverse=True)]


def _build_newest(builder: Builder, releases: list[str], folder: Path) -> str:
    """The newest of `releases` that the mirror has all packages of, built: RT patch sets come late and go early."""
    for release in releases:
        done = builder.run("build", "--kernel", release, "--driver", "e1000e", "--artifacts", str(folder))
        if done.returncode == 0:
            return release
        assert "404" in done.stderr, done.stderr
    raise AssertionError(f"the mirror has the packages of none of {', '.join(releases)}")


@pytest.mark.parametrize(("distribution", "series", "featureset"), LINES)
def test_a_kernel_of_another_line(
    builder: Builder, distribution: str, series: str, featureset: str | None, tmp_path: Path
) -> None:
    if os.geteuid() != 0 and read_host_name() != distribution:
        pytest.skip(f"NOT TESTED: {distribution}'s kernels; entering another root needs root")
    release = _build_newest(builder, _list_newest_first(distribution, series, featureset), tmp_path)
    manifest = json.loads((tmp_path / release / "manifest.json").read_text())
    packages = known.load_known_kernels()[release]
    assert manifest["kernel"]["distribution"] == distribution
    assert manifest["kernel"]["compiler"].startswith(f"{packages.compiler} (Debian ")
    assert {module["name"] for module in manifest["modules"]} == {"netmap", "e1000e"}
    for module in manifest["modules"]:
        assert load_module_info(tmp_path / release / module["file"]).release == release
    again = builder.run("build", "--kernel", release, "--driver", "e1000e", "--artifacts", str(tmp_path))
    assert again.stdout.startswith("unchanged: ")
