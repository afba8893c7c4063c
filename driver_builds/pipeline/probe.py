# SPDX-License-Identifier: Apache-2.0
"""Stage probe: netmap's own compile probes find out what this kernel's interfaces look like.

Run once per kernel, for all drivers of the catalogue at once, on their unpatched sources: a driver's own
probes then never depend on which other drivers were asked for, nor race with a patch being applied.
"""

import re
from pathlib import Path

from driver_builds.catalogue import SUBSYSTEMS, Driver
from driver_builds.compat import find_header, is_needed, render_compat
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.kbuild import pick_lines
from driver_builds.pipeline.vendor import get_module_folder
from driver_builds.plan import NETMAP, Stage, Step

CONFIG_HEADER = "netmap_linux_config.h"
# A kernel of the last ten years answers some 70 probes with yes. Far fewer: the probes failed for another
# reason (a header, a tool), which the probing itself cannot tell from "no".
_FEWEST_FOUND = 30
# Every kernel since 2.6.31 has it; when even this probe says no, the probes do not work.
_ALWAYS_FOUND = "NETMAP_LINUX_HAVE_NETDEV_OPS"


def apply_probe(build: BuildContext, step: Step) -> None:
    """Leaves netmap's folder configured: its Kbuild file and CONFIG_HEADER."""
    families = parse_probed_families((build.tree.path / "LINUX" / "configure").read_text("utf-8"))
    if step.subject != NETMAP:
        _probe_vendor(build, build.get_driver(step.subject), families)
        return
    probed = [driver for driver in build.inputs.probed if driver.family in families]
    drivers = [driver for driver in probed if _can_be_probed(build, driver)]
    overrides = "".join(_render_override(driver, build.ready_sources / driver.source) for driver in drivers)
    _configure(build, NETMAP, build.get_folder(NETMAP), drivers, overrides)


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
    found = (folder / CONFIG_HEADER).read_text("utf-8") if (folder / CONFIG_HEADER).exists() else ""
    count = len(re.findall(r"(?m)^\s*#define NETMAP_LINUX_", found))
    if done.status != 0 or count < _FEWEST_FOUND or _ALWAYS_FOUND not in found:
        _append_probe_log(folder, log)
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
        # What a probe finds is whether it compiles; debug information is a tenth of its time.
        "--kernel-opts=KCFLAGS=-g0",
        *(f"--{'enable' if name in wanted else 'disable'}-{name}" for name in SUBSYSTEMS),
    ]


def _append_probe_log(folder: Path, log: Path) -> None:
    probe_log = folder / "config.log"
    if probe_log.exists():
        with log.open("a", encoding="utf-8") as stream:
            stream.write(probe_log.read_text("utf-8", "replace"))


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
