# SPDX-License-Identifier: Apache-2.0
"""Small decisions inside the stages: versions, compilers, log lines, what inspect objects to."""

from dataclasses import replace

import pytest

from driver_builds.compiler import check_compiler, parse_compiler_version, parse_config_compiler
from driver_builds.errors import StageError
from driver_builds.modinfo import ModuleInfo
from driver_builds.pipeline.inspect import find_problems
from driver_builds.pipeline.kbuild import pick_lines
from driver_builds.pipeline.probe import parse_probed_families
from driver_builds.pipeline.unpack import is_same_version, parse_headers_version, parse_source_version

GOOD = ModuleInfo(
    name="e1000",
    vermagic="6.1.0-56-amd64 SMP preempt mod_unload modversions",
    srcversion=None,
    depends=("netmap",),
    license="GPL v2",
    parameters=(),
    versions={"module_layout": 1, "netmap_attach": 2},
)
KNOWN = {"module_layout": 1, "netmap_attach": 2, "other": 3}


def test_source_and_headers_versions() -> None:
    makefile = (
        "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n"
    )
    assert parse_source_version(makefile) == (6, 1, 192)
    header = (
        "#define LINUX_VERSION_CODE 393664\n#define LINUX_VERSION_MAJOR 6\n"
        "#define LINUX_VERSION_PATCHLEVEL 1\n#define LINUX_VERSION_SUBLEVEL 192\n"
    )
    assert parse_headers_version(header) == (6, 1, 192)


def test_version_of_old_headers() -> None:
    old = f"#define LINUX_VERSION_CODE {(5 << 16) + (10 << 8) + 255}\n#define KERNEL_VERSION(a,b,c) 0\n"
    assert parse_headers_version(old) == (5, 10, 255)
    assert is_same_version((5, 10, 262), (5, 10, 255))
    assert is_same_version((5, 10, 255), (5, 10, 255))
    assert not is_same_version((5, 10, 254), (5, 10, 255))
    assert not is_same_version((5, 11, 262), (5, 10, 255))
    assert is_same_version((6, 1, 192), (6, 1, 192))
    assert not is_same_version((6, 1, 193), (6, 1, 192))


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"),
        ("gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0", "11.4.0"),
        ("x86_64-linux-gnu-gcc-12 (Debian 12.2.0-14) 12.2.0", "12.2.0"),
    ],
)
def test_compiler_version(line: str, version: str) -> None:
    assert parse_compiler_version(line) == version


def test_another_compiler_is_refused() -> None:
    config = 'CONFIG_CC_IS_GCC=y\nCONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"\n'
    assert parse_config_compiler(config) == "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
    check_compiler("6.1.0-56-amd64", config, "gcc-12", "gcc-12 (Debian 12.2.0-14) 12.2.0")
    with pytest.raises(
        StageError, match=r"compiled by 'gcc-12 .* 12\.2\.0', gcc-12 here is 'gcc-12 \(GCC\) 12\.3\.0'"
    ):
        check_compiler("6.1.0-56-amd64", config, "gcc-12", "gcc-12 (GCC) 12.3.0")
    with pytest.raises(StageError):
        check_compiler("6.1.0-56-amd64", "", "gcc-12", "gcc-12 (GCC) 12.3.0")


def test_the_lines_that_matter() -> None:
    noise = [f"  CC [M]  /x/file{number}.o" for number in range(30)]
    errors = [f"/x/netdev.c:{number}:5: error: 'nm' undeclared" for number in range(15)]
    log = "\n".join(
        ["make: Entering directory '/x'", *noise, *errors, "make[1]: *** [Makefile:1] Error 1", ""]
    )
    lines = pick_lines(log)
    assert len(lines) == 10
    assert lines[0] == errors[0]


def test_the_last_lines_when_none_says_error() -> None:
    log = "\n".join(f"line {number}" for number in range(30)) + "\nmake: Leaving directory '/x'\n"
    assert pick_lines(log) == [f"line {number}" for number in range(20, 30)]
    assert pick_lines("") == []


def test_a_good_module_has_no_problem() -> None:
    assert find_problems(GOOD, "e1000", "6.1.0-56-amd64", KNOWN) == []


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        (replace(GOOD, name="e1000e"), "e1000", "its name is e1000e, wanted e1000"),
        (replace(GOOD, vermagic="6.1.0-5 SMP"), "e1000", "wanted kernel 6.1.0-56-amd64"),
        (replace(GOOD, depends=("ptp",)), "e1000", "it depends on ptp, not on netmap: it is unpatched"),
        (replace(GOOD, depends=()), "e1000", "it depends on nothing, not on netmap"),
        (replace(GOOD, versions={"module_layout": 9}), "e1000", "1 symbols of another version"),
        (replace(GOOD, versions={"unknown": 1}), "e1000", "of another version than the kernel's: unknown"),
        (replace(GOOD, versions={}), "e1000", "no symbol versions"),
    ],
)
def test_what_inspect_objects_to(module: ModuleInfo, name: str, said: str) -> None:
    (problem,) = find_problems(module, name, "6.1.0-56-amd64", KNOWN)
    assert said in problem


def test_netmap_itself_need_not_depend_on_netmap() -> None:
    netmap = replace(GOOD, name="netmap", depends=())
    assert find_problems(netmap, "netmap", "6.1.0-56-amd64", KNOWN) == []


def test_only_drivers_with_probes_are_probed() -> None:
    lines = [
        "if drv enabled e1000e; then",
        "   if drv enabled virtio_net.c; then",
        "drv enabled igb && y",
        "# if drv enabled ice;",
    ]
    configure = "\n".join(lines)
    assert parse_probed_families(configure) == {"e1000e", "virtio_net.c"}
