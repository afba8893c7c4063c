# SPDX-License-Identifier: Apache-2.0
"""The real thing: netmap's source, Debian's newest kernel, real compilers. Skipped, loudly, without NETMAP_SOURCE."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli.options import get_default_cache
from driver_builds.distributions import known
from driver_builds.distributions.releases import get_distribution
from driver_builds.netmap_source import NetmapTree, load_netmap_tree
from driver_builds.release import release_order

LIMIT_S = 3600


@dataclass(frozen=True, slots=True)
class Builder:
    """`driver-builds` as a user runs it, with one cache for all tests (and for the next run)."""

    cache: Path
    netmap_source: str

    def run(
        self, command: str, *arguments: str, cache: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "driver_builds.cli.main", command, *arguments],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
            env={
                **os.environ,
                "DRIVER_BUILDS_CACHE": str(cache or self.cache),
                "NETMAP_SOURCE": self.netmap_source,
            },
        )


@pytest.fixture(scope="session")
def builder() -> Builder:
    source = os.environ.get("NETMAP_SOURCE", "")
    if not source:
        pin = load_netmap_pin()
        pytest.skip(
            f"NOT TESTED: the real driver build. Set NETMAP_SOURCE to a clone or tarball of {pin.url} "
            f"with commit {pin.commit[:12]} to enable it"
        )
    return Builder(Path(os.environ.get("DRIVER_BUILDS_CACHE") or get_default_cache()), source)


@pytest.fixture(scope="session")
def release(builder: Builder) -> str:
    """The newest kernel of Debian 12's own series that the archive has."""
    all_ = known.read_releases(builder.cache)[get_distribution("debian 12")]
    own = [release for release in all_ if re.fullmatch(r"6\.1\.0-[0-9]+-amd64", release.text)]
    assert own, "the archive has no kernel of Debian 12's own series"
    return max(own, key=release_order).text


@pytest.fixture(scope="session")
def netmap_tree(builder: Builder) -> NetmapTree:
    return load_netmap_tree(builder.netmap_source, builder.cache, load_netmap_pin())


@pytest.fixture(scope="session")
def artifacts(builder: Builder, release: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """artifacts/<release> with e1000 and e1000e, from the cache when they were built from the same inputs."""
    folder = tmp_path_factory.mktemp("artifacts")
    drivers = ("--driver", "e1000", "--driver", "e1000e")
    done = builder.run("build", "--kernel", release, *drivers, "--artifacts", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"changed: {folder / release}: netmap.ko, e1000.ko, e1000e.ko")
    return folder / release
