# SPDX-License-Identifier: Apache-2.0
"""Stage baseline: the unpatched driver compiles here, so what fails afterwards is the patch's doing."""

import shutil
from pathlib import Path

from driver_builds.catalogue import Driver
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.kbuild import make_modules
from driver_builds.pipeline.probe import has_module
from driver_builds.pipeline.vendor import apply_vendor_baseline, get_module_folder
from driver_builds.plan import Stage, Step


def apply_baseline(build: BuildContext, step: Step) -> None:
    """Copies the driver's source and compiles it as it is; the patch is then applied to the same folder."""
    driver = build.get_driver(step.subject)
    if build.inputs.get_vendor(driver.name):
        apply_vendor_baseline(build, step)
        return
    if not has_module(build, driver):
        raise StageError(
            Stage.BASELINE,
            driver.name,
            f"the kernel does not build it as a module ({driver.config} is "
            "not m), so what it depends on may be missing",
        )
    source = build.ready_sources / driver.source
    if not source.exists():
        raise StageError(
            Stage.BASELINE, driver.name, f"{driver.source} is not in the kernel's source package"
        )
    # The place it has in a kernel's tree, for trace headers that say their own path from include/trace.
    folder = find_module_folder(build, driver)
    build.get_trace_folder(driver.name).mkdir(parents=True)
    folder.parent.mkdir(parents=True)
    if driver.is_single_file:
        folder.mkdir()
        shutil.copy2(source, folder)
        (folder / "Kbuild").write_text(f"obj-m := {driver.name}.o\n", "utf-8")
    else:
        shutil.copytree(source, folder, symlinks=True)
    make_modules(
        build,
        Stage.BASELINE,
        driver.name,
        find_module_folder(build, driver),
        "the unpatched driver does not compile for this kernel",
    )


def find_module_folder(build: BuildContext, driver: Driver) -> Path:
    """The folder the kernel's build system is pointed at for this driver."""
    if build.inputs.get_vendor(driver.name):
        return get_module_folder(build, driver.name)
    return build.get_folder(driver.name) / driver.folder
