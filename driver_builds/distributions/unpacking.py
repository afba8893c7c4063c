# SPDX-License-Identifier: Apache-2.0
"""How package files become a build folder and driver sources: unpacked into the cache, made to work from there.

Nothing is installed.
"""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import KernelPackages, KernelTree, Package
from driver_builds.distributions.rt_patches import apply_rt_patches
from driver_builds.errors import DriverBuildError, StageError

# Part of the unpacked folders' keys: raise it when they come out otherwise than before.
LAYOUT = "3"

_ABSENT = re.compile(r"Not found in archive|Exiting with failure status due to previous errors")


def unpack_kernel(packages: KernelPackages, files: Sequence[Path], target: Path) -> KernelTree:
    """The kernel's build folder from its package files, unpacked once at `target`, usable from there."""
    root = store.fill_once(target, lambda folder: _unpack_packages(files, folder, target))
    return KernelTree(root, root / "usr/src" / f"linux-headers-{packages.release.text}")


def _unpack_packages(files: Sequence[Path], folder: Path, final: Path) -> None:
    for path in files:
        done = process.run(["dpkg-deb", "-x", str(path), str(folder)])
        if done.status != 0:
            raise DriverBuildError(f"{path.name}: dpkg-deb cannot unpack it: {done.output.strip()}")
    repoint(folder, final)
    # Newer headers carry the kernel's type information (BTF) so that modules get some too. Ours are compiled without
    # debug information, there is nothing to make it from.
    for vmlinux in folder.glob("usr/src/linux-headers-*/vmlinux"):
        vmlinux.unlink()


def repoint(folder: Path, final: Path) -> None:
    """Makes absolute paths below `folder` lead into `final`, where it will be, and not into the host's /usr."""
    for makefile in folder.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text("utf-8")
        makefile.write_text(
            re.sub(r"(?m)^(include\s+|\w+\s*:?=\s*)(/usr/)", rf"\g<1>{final}\2", text), "utf-8"
        )
    for path in folder.rglob("*"):
        if path.is_symlink() and (target := str(path.readlink())).startswith("/"):
            path.unlink()
            path.symlink_to(f"{final}{target}")


def unpack_sources(
    packages: KernelPackages, files: Sequence[Path], members: Sequence[str], target: Path
) -> Path:
    """The kernel source's Makefile and `members` (files or directories), unpacked once at `target`.

    `files` are the source package and, where the kernel was built with the RT patch set, what holds that; it is then
    applied to the members.
    """
    return store.fill_once(target, lambda folder: _unpack_members(packages.source, files, members, folder))


def _unpack_members(package: Package, files: Sequence[Path], members: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".package-") as scratch:
        _unpack_packages(files[:1], Path(scratch), Path(scratch))
        _extract(package, find_archive(Path(scratch), package), members, folder)
        for archive in files[1:]:
            apply_rt_patches(package, archive, members, folder, Path(scratch) / "rt")


def find_archive(folder: Path, package: Package) -> Path:
    """The tarball in an unpacked source package: Debian's in usr/src, Ubuntu's one folder further down."""
    found = [*folder.glob("usr/src/linux-source-*.tar.*"), *folder.glob("usr/src/*/linux-source-*.tar.*")]
    if len(found) != 1:
        raise StageError("unpack", package.name, f"it has {len(found)} source archives, one is wanted")
    return found[0]


def _extract(package: Package, archive: Path, members: Sequence[str], folder: Path) -> None:
    command = [
        "tar",
        "--extract",
        # All cores: the archive has 1.3 GB and independent blocks.
        "--use-compress-program=xz -T0" if archive.suffix == ".xz" else "--auto-compress",
        f"--file={archive}",
        "--no-same-owner",
        f"--directory={folder}",
        "--strip-components=1",
        "--",
        *(f"{archive.name.split('.tar')[0]}/{member}" for member in ("Makefile", *members)),
    ]
    done = process.run(command)
    # Drivers this kernel does not have yet or any more; the stage baseline says so of each by name.
    lines = [line for line in done.output.splitlines() if not _ABSENT.search(line)]
    if done.status != 0 and (lines or not (folder / "Makefile").is_file()):
        raise StageError("unpack", package.name, "tar could not unpack what is built from", lines[-10:])
