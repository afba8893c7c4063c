# SPDX-License-Identifier: Apache-2.0
"""What netmap's compile probes find of one driver matters to this driver alone.

So a build probes only the drivers it makes, and a module is the same whichever others were asked for.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from driver_builds.catalogue import load_drivers
from driver_builds.netmap_source import NetmapTree
from driver_builds.pipeline.probe import read_probed_families

from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

# Netmap's sources of each driver it has probes for; their names do not always say the driver's.
SOURCES = {
    "e1000e": {"if_e1000e_netmap.h"},
    "igb": {"if_igb_netmap.h"},
    "ixgbe": {"ixgbe_netmap_linux.h"},
    "ixgbevf": {"ixgbe_netmap_linux.h"},
    "i40e": {"i40e_netmap_linux.h"},
    "ice": {"ice_netmap_linux.h"},
    "vmxnet3": {"if_vmxnet3_netmap.h", "if_vmxnet3_netmap_v2.h"},
    "virtio_net.c": {"if_virtio_net_netmap.h", "virtio_netmap.h"},
}


@pytest.mark.parametrize("family", sorted(SOURCES))
def test_nobody_else_reads_what_is_found_of_a_driver(netmap_tree: NetmapTree, family: str) -> None:
    configure = (netmap_tree.path / "LINUX/configure").read_text()
    # A driver's questions stand from its own line to the next driver's, the last one's to the end of the function.
    parts = re.split(r"(?m)^  if drv enabled (\S+); then$", configure)
    blocks = [
        block.split("\n}\n")[0]
        for name, block in zip(parts[1::2], parts[2::2], strict=True)
        if name == family
    ]
    assert blocks
    macros = re.compile("|".join(rf"NETMAP_LINUX_(?:HAVE_)?{name}\b" for name in read_macros(blocks)))
    readers = {
        path.name
        for folder in ("LINUX", "sys")
        for path in (netmap_tree.path / folder).rglob("*")
        if path.is_file() and path.name != "configure" and macros.search(path.read_text("utf-8", "replace"))
    }
    patches = {name for name in readers if f"--{family}--" in name}
    assert readers - patches <= SOURCES[family]
    assert readers, "the macros' names were not understood"


def read_macros(blocks: Sequence[str]) -> set[str]:
    return {name for block in blocks for name in re.findall(r"""['"](?:have|define) ([A-Z0-9_]+)""", block)}


def test_no_probed_driver_was_forgotten_here(netmap_tree: NetmapTree) -> None:
    ours = {driver.family for driver in load_drivers().values()}
    # r8169: netmap has no patch for any kernel we build for, so it is never probed.
    assert (read_probed_families(netmap_tree.path) & ours) - {"r8169.c"} == set(SOURCES)


@pytest.mark.parametrize("together", [("e1000e", "igb"), ("igb", "virtio_net")])
def test_a_module_does_not_depend_on_which_others_are_built(
    builder: Builder, release: str, tmp_path: Path, together: tuple[str, str]
) -> None:
    """Built alone, from nothing, and beside another: the same bytes of netmap.ko and of the driver."""
    alone, both = tmp_path / "alone", tmp_path / "both"
    first = together[0]
    for folder, drivers in ((alone, together[:1]), (both, together)):
        asked = [word for name in drivers for word in ("--driver", name)]
        done = builder.run("build", "--kernel", release, *asked, "--rebuild", "--artifacts", str(folder))
        assert done.returncode == 0, done.stderr
    for name in ("netmap.ko", f"{first}.ko"):
        assert (alone / release / name).read_bytes() == (both / release / name).read_bytes()


def test_a_driver_added_later_is_probed_for_then(builder: Builder, release: str, tmp_path: Path) -> None:
    """The netmap.ko in the cache was made without the driver: its probes are run once more, netmap.ko stays."""
    cache = tmp_path / "cache"
    for name in ("packages", "trees", "resolved"):
        shutil.copytree(builder.cache / name, cache / name, symlinks=True, copy_function=os.link)
    made = tmp_path / "made"
    said = []
    for drivers in (["igb"], ["igb", "e1000e"]):
        asked = [word for name in drivers for word in ("--driver", name)]
        done = builder.run("build", "--kernel", release, *asked, "--artifacts", str(made), cache=cache)
        assert done.returncode == 0, done.stderr
        said.append(done.stderr)
    lines = [line.split()[:2] for line in said[1].splitlines()]
    assert ["reuse", "netmap"] in lines
    assert ["probe", "netmap"] in lines
    assert ["build", "netmap"] not in lines
    again = builder.run(
        "build",
        "--kernel",
        release,
        "--driver",
        "e1000e",
        "--rebuild",
        "--artifacts",
        str(tmp_path / "alone"),
    )
    assert again.returncode == 0, again.stderr
    file = f"{release}/e1000e.ko"
    assert (made / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()
