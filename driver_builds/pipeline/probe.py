# SPDX-License-Identifier: Apache-2.0
"""Stage probe: netmap's own compile probes find out what this kernel's interfaces look like.

Run once per build, on the unpatched sources of the drivers it makes: they never race with a patch being applied.
What a driver's probes find goes into macros that nothing but this driver reads (tests/builds/test_probes.py), so a
module does not depend on which others were asked for. Probing is a third of a build's work: no other driver is probed.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from driver_builds import process
from driver_builds.catalogue import SUBSYSTEMS, Driver
from driver_builds.compat import find_header, is_needed, render_compat
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.kbuild import pick_lines
from driver_builds.pipeline.vendor import get_module_folder
from driver_builds.plan import NETMAP, Stage, Step

CONFIG_HEADER = "netmap_linux_config.h"
# Beside it: the names of the drivers whose probes it holds.
PROBED = "probed"
# A kernel of the last ten years answers some 70 probes with yes. Far fewer: the probes failed for another
# reason (a header, a tool), which the probing itself cannot tell from "no".
_FEWEST_FOUND = 30
# Every kernel since 2.6.31 has it; when even this probe says no, the probes do not work.
_ALWAYS_FOUND = "NETMAP_LINUX_HAVE_NETDEV_OPS"


def apply_probe(build: BuildContext, step: Step) -> None:
    """Leaves netmap's folder configured: its Kbuild file and CONFIG_HEADER."""
    families = read_probed_families(build.tree.path)
    if step.subject != NETMAP:
        _probe_vendor(build, build.get_driver(step.subject), families)
        return
    in_tree = [driver for driver in build.inputs.drivers if build.inputs.get_vendor(driver.name) is None]
    wanted = [driver for driver in in_tree if driver.name not in build.refused]
    drivers = [driver for driver in wanted if driver.family in families and _can_be_probed(build, driver)]
    overrides = "".join(_render_override(driver, build.ready_sources / driver.source) for driver in drivers)
    folder = build.get_probe_folder(NETMAP)
    _configure(build, NETMAP, folder, drivers, overrides)
    (folder / PROBED).write_text("".join(f"{driver.name}\n" for driver in wanted), "utf-8")


def read_probed(folder: Path, drivers: Iterable[Driver], netmap: Path) -> frozenset[str] | None:
    """Those of `drivers` CONFIG_HEADER in `folder` answers for, if there are any questions; None: all there are."""
    file = folder / PROBED
    if not file.exists():
        return None
    families = read_probed_families(netmap)
    silent = {driver.name for driver in drivers if driver.family not in families}
    return frozenset(file.read_text("utf-8").split()) | silent


def read_probed_families(netmap: Path) -> frozenset[str]:
    """The drivers the configure script of a netmap tree has probes for."""
    return parse_probed_families((netmap / "LINUX" / "configure").read_text("utf-8"))


def _probe_vendor(build: BuildContext, driver: Driver, families: frozenset[str]) -> None:
    """The same probes once more where netmap has some for this driver: its maker's structures are other ones."""
    folder = build.get_probe_folder(driver.name)
    if driver.family in families:
        override = _render_override(driver, get_module_folder(build, driver.name))
        _configure(build, driver.name, folder, [driver], override)


def _configure(
    build: BuildContext, subject: str, folder: Path, drivers: list[Driver], overrides: str
) -> None:
    folder.mkdir(parents=True)
    (folder / "config.mak").write_text(overrides, "utf-8")
    log = build.get_log(subject)
    done = build.builder.run(_build_command(build, drivers), cwd=folder, log=log)
    probe_log = _read_probe_log(folder)
    # A compiler that found no space is a "no" to netmap's probing, which then ends well.
    process.check_host(f"{done.output}\n{probe_log}")
    found = (folder / CONFIG_HEADER).read_text("utf-8") if (folder / CONFIG_HEADER).exists() else ""
    count = len(re.findall(r"(?m)^\s*#define NETMAP_LINUX_", found))
    if done.status != 0 or count < _FEWEST_FOUND or _ALWAYS_FOUND not in found:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(probe_log)
        raise StageError(
            Stage.PROBE,
            subject,
            f"netmap's compile probes do not work for this kernel ({count} found)",
            pick_lines(done.output),
            log,
        )
    _add_compat(build, folder / CONFIG_HEADER)


def _add_compat(build: BuildContext, config: Path) -> None:
    """Appends what bridges changes of this kernel's interfaces to the header all of netmap's sources include."""
    kernel = build.ready_kernel
    folders = [kernel.build, *sorted(kernel.root.glob("usr/src/linux-headers-*"))]
    needed = []
    for entry in build.inputs.get_compat():
        header = find_header(entry, folders)
        if header is None or is_needed(entry, header.read_text("utf-8", "replace")):
            needed.append(entry)
    if needed:
        with config.open("a", encoding="utf-8") as stream:
            stream.write(render_compat(needed))


def _build_command(build: BuildContext, drivers: list[Driver]) -> list[str]:
    wanted = build.inputs.subsystems
    return [
        str(build.tree.path / "LINUX" / "configure"),
        f"--kernel-dir={build.ready_kernel.build}",
        f"--kernel-sources={build.ready_sources}",
        "--no-ext-drivers",
        f"--drivers={','.join(driver.family for driver in drivers)}",
        "--no-apps",
        "--no-utils",
        "--no-force-debug",
        # What a probe finds is whether it compiles: no debug information, no symbol versions, no check of the object.
        # Kbuild's search for exported static symbols (since 5.19) alone takes 5 s of CPU for all the probes.
        "--kernel-opts=KCFLAGS=-g0\\ -pipe CONFIG_MODVERSIONS= objtool=/bin/true cmd_check_local_export=",
        *(f"--{'enable' if name in wanted else 'disable'}-{name}" for name in SUBSYSTEMS),
    ]


def _read_probe_log(folder: Path) -> str:
    log = folder / "config.log"
    return log.read_text("utf-8", "replace") if log.exists() else ""


def parse_probed_families(configure: str) -> frozenset[str]:
    """The drivers netmap's configure has probes for; for any other it would start make in vain."""
    return frozenset(re.findall(r"(?m)^\s*if drv enabled ([a-z0-9_.]+)\s*;", configure))


def _can_be_probed(build: BuildContext, driver: Driver) -> bool:
    return has_module(build, driver) and (build.ready_sources / driver.source).exists()


def has_module(build: BuildContext, driver: Driver) -> bool:
    """Whether the kernel was built with this driver as a module, so that all it needs is there."""
    config = build.ready_kernel.config.read_text("utf-8")
    return re.search(rf"(?m)^{driver.config}=m$", config) is not None


def _render_override(driver: Driver, source: Path) -> str:
    # Exactly this source, not the first folder of that name `find` comes upon; and neither a patch nor a compiled
    # driver while probing: whether the unpatched driver compiles is stage baseline's question, asked once.
    family = driver.family
    lines = (f"@src := cp -Rp {source} {family}", "@patch := none", "@build := true")
    return "".join(f"{family}{line}\n" for line in lines)
