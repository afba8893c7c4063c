# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, each declared once."""

import os
from pathlib import Path
from typing import Annotated

import typer

from driver_builds import vendor_source, vendors
from driver_builds.distributions.mirrors import VARIABLE, parse_mirror


def get_default_cache() -> Path:
    """studio-bypass/driver-builds in $XDG_CACHE_HOME, or else in ~/.cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (
        (Path(base) if base.startswith("/") else Path.home() / ".cache") / "studio-bypass" / "driver-builds"
    )


def use_mirror(mirror: str | None) -> None:
    """Lets --mirror decide over the environment, for this process and all it starts."""
    if mirror is not None:
        parse_mirror(mirror)
        os.environ[VARIABLE] = mirror


Kernels = Annotated[
    list[str],
    typer.Option(
        "--kernel", metavar="RELEASE", help="Kernel release, as `uname -r` prints it; once for each kernel."
    ),
]
Drivers = Annotated[
    list[str],
    typer.Option(
        "--driver",
        metavar="NAME",
        help="Driver to build; once for each. Without it: all that the kernel contains.",
        default_factory=list,
        show_default=False,
    ),
]
NetmapSource = Annotated[
    str | None,
    typer.Option(
        "--netmap-source",
        envvar="NETMAP_SOURCE",
        metavar="SOURCE",
        help="netmap: https or file URL (git or tarball), git directory, work tree or tarball.",
    ),
]
AcceptTree = Annotated[
    bool,
    typer.Option("--accept-netmap-tree", help="Build this netmap tree although it is not the pinned one."),
]
Artifacts = Annotated[
    Path, typer.Option("--artifacts", metavar="DIR", help="Where <release>/ with modules and manifest goes.")
]
Cache = Annotated[
    Path,
    typer.Option(
        "--cache",
        envvar="DRIVER_BUILDS_CACHE",
        metavar="DIR",
        help="Packages, sources and modules.",
        default_factory=get_default_cache,
        show_default="~/.cache/studio-bypass/driver-builds",
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(
        "--mirror",
        metavar="URL[,SECURITY_URL]",
        help="Debian's archive (and its security archive), instead of those of this host's apt; also "
        "DRIVER_BUILDS_MIRROR.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        min=1,
        help="Compilers at once.",
        default_factory=os.cpu_count,
        show_default="number of CPUs",
    ),
]
Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Compile again even what was built from the same inputs.")
]
DebugSymbols = Annotated[
    bool, typer.Option("--debug-symbols", help="Keep debug information too, in DIR/RELEASE/debug.")
]
With = Annotated[
    list[str],
    typer.Option(
        "--with", metavar="SUBSYSTEM", help="Compile this subsystem into netmap.ko too.", default_factory=list
    ),
]
Without = Annotated[
    list[str],
    typer.Option(
        "--without", metavar="SUBSYSTEM", help="Leave this subsystem out of it.", default_factory=list
    ),
]
Method = Annotated[
    list[str],
    typer.Option(
        "--method",
        metavar="NAME=METHOD",
        default_factory=list,
        show_default="in-tree",
        help="in-tree: the kernel's own source; vendor: a release of the driver's maker.",
    ),
]
VendorSource = Annotated[
    list[str],
    typer.Option(
        "--vendor-source",
        envvar=vendor_source.VARIABLE,
        metavar="NAME=SOURCE",
        default_factory=list,
        show_default=False,
        help="Where that release is: a tarball, a folder, a git directory or a URL.",
    ),
]
VendorReleases = Annotated[
    Path | None,
    typer.Option(
        "--vendor-releases",
        envvar=vendors.VARIABLE,
        metavar="FILE",
        help="Your makers' releases and their pins (TOML).",
    ),
]
AcceptVendorTree = Annotated[
    bool,
    typer.Option(
        "--accept-vendor-tree", help="Build vendors' releases although they are not the pinned ones."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
KeepBytes = Annotated[
    str,
    typer.Option(
        "--keep-bytes",
        envvar="DRIVER_BUILDS_KEEP_BYTES",
        metavar="SIZE",
        help="Bring the cache under SIZE afterwards, what was used longest ago first.",
    ),
]
# Every kernel of Debian 11 to 13 with its image and two chroots fits.
KEEP_BYTES = "20G"
