# SPDX-License-Identifier: Apache-2.0
"""A kernel, two drivers and a netmap in miniature: real make, real compiler, real patch, in under a second.

The "kernel" is a Makefile that compiles one C file into an ELF object with the sections a module has; a driver
is one such file, and its patch makes it depend on netmap. `tests/builds` does the same with the real ones.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

from driver_builds.distributions import KernelTree
from driver_builds.netmap_source import NetmapTree
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import BuildInputs, BuildPlan, Observed, Stage, plan_build

_MAKEFILE = """\
modules:
\t@for file in $(M)/*.c; do echo "  CC [M] $$file"; gcc $(KCFLAGS) -c $$file -o $${file%.c}.ko || exit 1; done
\t@printf '0x00000002\\tnetmap_attach\\tnetmap\\tEXPORT_SYMBOL\\t\\n' > $(M)/Module.symvers
"""

_MODULE = """\
static const char info[] __attribute__((section(".modinfo"), used)) =
    "name={name}\\0"
    "vermagic=6.1.0-56-amd64 SMP \\0"
    "license=GPL v2\\0"
    "depends=";
static const struct {{
    unsigned long crc;
    char name[56];
}} versions[] __attribute__((section("__versions"), used)) = {{
    {{1, "module_layout"}},
}};
int {name}_open(void);
int {name}_open(void)
{{
    return 0;
}}
"""

# netmap's configure, as the pipeline uses it: writes what the compile probes found, and netmap's own source.
_CONFIGURE = """\
#!/bin/sh
for number in $(seq 40); do echo "#define NETMAP_LINUX_HAVE_$number"; done > netmap_linux_config.h
echo "#define NETMAP_LINUX_HAVE_NETDEV_OPS" >> netmap_linux_config.h
cp "$(dirname "$0")/netmap.c" .
"""


class Miniature:
    """Everything `apply_plan` needs but packages, below one folder."""

    def __init__(self, folder: Path, inputs: BuildInputs) -> None:
        self.folder = folder
        self.inputs = inputs
        self.tree = folder / "netmap"
        self.sources = folder / "sources"
        self.kernel = KernelTree(folder / "kernel", folder / "kernel")
        self._make_kernel()
        (self.tree / "LINUX" / "final-patches").mkdir(parents=True)
        (self.tree / "LINUX" / "netmap.c").write_text(_MODULE.format(name="netmap"))
        (self.tree / "LINUX" / "configure").write_text(_CONFIGURE)
        (self.tree / "LINUX" / "configure").chmod(0o755)
        for name in ("e1000", "e1000e"):
            self.write_driver(name, _MODULE.format(name=name))
            self.write_patch(name, "depends=", "depends=netmap")

    def _make_kernel(self) -> None:
        self.kernel.build.mkdir(parents=True)
        (self.kernel.build / "Makefile").write_text(_MAKEFILE)
        self.kernel.config.write_text("CONFIG_E1000=m\nCONFIG_E1000E=m\n")
        self.kernel.symbol_versions.write_text("0x00000001\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n")

    def get_source(self, name: str) -> Path:
        return self.sources / "drivers/net/ethernet/intel" / name / f"{name}.c"

    def write_driver(self, name: str, text: str) -> None:
        self.get_source(name).parent.mkdir(parents=True, exist_ok=True)
        self.get_source(name).write_text(text)

    def write_patch(self, name: str, old: str, new: str) -> None:
        """The patch that replaces `old` by `new` in the driver's file as it is now."""
        before = self.get_source(name).read_text()
        assert old in before
        for side, text in (("a", before), ("b", before.replace(old, new))):
            file = self.folder / "diff" / side / name / f"{name}.c"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        paths = [f"{side}/{name}/{name}.c" for side in "ab"]
        done = subprocess.run(
            ["diff", "-u", *paths], cwd=self.folder / "diff", capture_output=True, text=True, check=False
        )
        patch = self.tree / "LINUX" / "final-patches" / f"vanilla--{name}--31200--99999"
        patch.write_text(done.stdout)

    def prepare(self, cached: frozenset[str] = frozenset()) -> tuple[BuildPlan, BuildContext]:
        """A plan without tools, fetch and unpack, and the context where they are done."""
        tree = NetmapTree(self.tree, "e" * 64, "1" * 40, "https://example.invalid/netmap", "here", True)
        plan = plan_build(self.inputs, Observed(cached))
        done = {Stage.TOOLS, Stage.FETCH, Stage.UNPACK}
        # A vendor's release is unpacked by its driver's own chain, into the folder it is compiled in.
        steps = tuple(
            step for step in plan.steps if step.stage not in done or self.inputs.get_vendor(step.subject)
        )
        work, logs = self.folder / "work", self.folder / "logs"
        for path in (work, logs):
            subprocess.run(["rm", "-rf", str(path)], check=True)
            path.mkdir()
        cache, artifacts = self.folder / "cache", self.folder / "artifacts" / plan.release
        artifacts.parent.mkdir(exist_ok=True)
        context = BuildContext(self.inputs, tree, cache, artifacts, work, logs, jobs=1)
        context.kernel, context.sources = self.kernel, self.sources
        return replace(plan, steps=steps), context
