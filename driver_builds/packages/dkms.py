# SPDX-License-Identifier: Apache-2.0
"""`netmap-dkms`: for hosts that build for themselves, whenever a kernel is installed.

DKMS calls this project's own pipeline with the netmap source the package carries, so that a host's modules come out
as those of a build host do: baseline, patch stages, inspection. The package is the operator's artefact.
"""

import hashlib
import io
import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

from driver_builds.catalogue import NetmapPin, select_drivers
from driver_builds.netmap_source import NetmapTree
from driver_builds.packages.deb import Deb, Entry
from driver_builds.packages.modules import MAINTAINER, describe_netmap
from driver_builds.packages.templates import render_template
from driver_builds.plan import NETMAP

NAME = "netmap-dkms"
# Where the commands are that this project installs, in the order they are tried.
COMMANDS = ("/opt/appliance/venv/bin/driver-builds", "/usr/local/bin/driver-builds", "/usr/bin/driver-builds")


def build_dkms(tree: NetmapTree, pin: NetmapPin, drivers: Sequence[str], revision: int = 1) -> Deb:
    """The package for `drivers`, which are all built or none is installed: DKMS knows no half."""
    names = [driver.name for driver in select_drivers(drivers)]
    tarball = render_tarball(tree.path, pin.committed_s)
    scripts = {name: render_script(name, names, tree.pinned) for name in ("dkms.conf", "build")}
    contents = b"".join([tarball, *(text.encode() for text in scripts.values())])
    digest = hashlib.sha256(contents).hexdigest()[:8]
    version = f"0~{describe_netmap(tree.commit, tree.sha256, pin)}+r{revision}.{digest}"
    # DKMS names folders by it and hands it to makefiles: letters, digits and dots only.
    module_version = version.removeprefix("0~").replace("+", ".")
    scripts["dkms.conf"] = scripts["dkms.conf"].replace("@VERSION@", module_version)
    folder = f"usr/src/netmap-{module_version}"
    entries = [
        Entry(f"{folder}/dkms.conf", scripts["dkms.conf"].encode()),
        Entry(f"{folder}/build", scripts["build"].encode(), 0o755),
        Entry(f"{folder}/netmap.tar.xz", tarball),
    ]
    maintainer = {
        name: render_template(f"dkms.{name}", version=module_version) for name in ("postinst", "prerm")
    }
    return Deb(NAME, version, "all", build_fields(names), entries, maintainer)


def build_fields(names: Sequence[str]) -> dict[str, str]:
    """The control fields: what a build needs is recommended, as the compiler differs from kernel to kernel."""
    description = [
        "netmap and netmap-patched NIC drivers, built on the host by DKMS",
        f" Drivers: {', '.join(names)}.",
        " .",
        " Needs the command driver-builds, and a package source with the kernel's headers and source.",
    ]
    return {
        "Maintainer": MAINTAINER,
        "Depends": "dkms, binutils, gcc, libelf1 | libelf1t64, make, patch, tar, xz-utils",
        "Conflicts": "netmap-modules",
        "Section": "kernel",
        "Priority": "optional",
        "Description": "\n".join(description),
    }


def render_script(name: str, drivers: Sequence[str], pinned: bool = True) -> str:
    """`dkms.conf` or `build` for netmap and `drivers`."""
    return render_template(
        name if name == "dkms.conf" else "dkms.build",
        modules=[NETMAP, *drivers],
        drivers=list(drivers),
        commands=list(COMMANDS),
        accept=not pinned,
    )


def render_tarball(tree: Path, epoch_s: int) -> bytes:
    """The tree as netmap.tar.xz: sorted, one owner, one time; the tree hash of what it holds stays the same."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(tree.rglob("*")):
            info = tarfile.TarInfo(f"netmap/{path.relative_to(tree)}")
            info.mtime, info.uname, info.gname = epoch_s, "root", "root"
            if path.is_symlink():
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
                tar.addfile(info)
            elif path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                content = path.read_bytes()
                info.size, info.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
                tar.addfile(info, io.BytesIO(content))
    return lzma.compress(buffer.getvalue(), preset=6)
