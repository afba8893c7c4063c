# SPDX-License-Identifier: Apache-2.0
"""Real small things the tests work on: ELF modules, git repositories, packages."""

import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from driver_builds.catalogue import NetmapPin, load_drivers
from driver_builds.distributions import KernelPackages, Package
from driver_builds.plan import BuildInputs
from driver_builds.release import parse_release

from .miniature import Miniature

VERMAGIC = "6.1.0-56-amd64 SMP preempt mod_unload modversions "


def build_module(
    fields: Sequence[tuple[str, str]] = (("name", "e1000"), ("vermagic", VERMAGIC), ("depends", "netmap")),
    versions: Mapping[str, int] | None = None,
) -> bytes:
    """An amd64 relocatable ELF file with `.modinfo` and `__versions`, as the kernel's build system makes them."""
    modinfo = b"".join(f"{key}={value}".encode() + b"\0" for key, value in fields)
    table = b"".join(struct.pack("<Q56s", crc, name.encode()) for name, crc in (versions or {}).items())
    names = b"\0.modinfo\0__versions\0.bss\0.shstrtab\0"
    contents = [b"", modinfo, table, b"", names]
    offsets, body = [], b""
    for content in contents:
        offsets.append(64 + len(body))
        body += content
    kinds = [0, 1, 1, 8, 3]  # NULL, PROGBITS, PROGBITS, NOBITS, STRTAB
    sizes = [0, len(modinfo), len(table), 1 << 40, len(names)]  # NOBITS: a size without bytes in the file
    labels = [0, *(names.index(label) for label in (b".modinfo", b"__versions", b".bss", b".shstrtab"))]
    headers = b"".join(
        struct.pack("<IIQQQQIIQQ", label, kind, 0, 0, offset, size, 0, 0, 1, 0)
        for label, kind, offset, size in zip(labels, kinds, offsets, sizes, strict=True)
    )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    ehdr = struct.pack("<16sHHIQQQIHHHHHH", ident, 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, 5, 4)
    return ehdr + body + headers


@pytest.fixture
def make_module() -> Callable[..., bytes]:
    return build_module


@pytest.fixture
def inputs() -> BuildInputs:
    """The inputs of a build of e1000 and e1000e for 6.1.0-56-amd64, with hashes that are easy to see."""
    release = parse_release("6.1.0-56-amd64")
    packages = KernelPackages(
        release=release,
        distribution="debian 12",
        compiler="gcc-12",
        headers=Package("linux-headers-6.1.0-56-amd64", "6.1.192-2", "amd64", "a" * 64, 1),
        common=Package("linux-headers-6.1.0-56-common", "6.1.192-2", "all", "b" * 64, 2),
        kbuild=Package("linux-kbuild-6.1", "6.1.192-2", "amd64", "c" * 64, 3),
        source=Package("linux-source-6.1", "6.1.192-2", "all", "d" * 64, 4),
    )
    drivers = load_drivers()
    return BuildInputs(
        packages=packages,
        compiler="gcc-12 (Debian 12.2.0-14) 12.2.0",
        netmap_sha256="e" * 64,
        subsystems=("vale", "pipe"),
        patch_names=(
            "vanilla--e1000--31200--99999",
            "vanilla--e1000e--31200--99999",
            "vanilla--igb--31200--40100",
        ),
        probed=tuple(drivers.values()),
        drivers=(drivers["e1000"], drivers["e1000e"]),
    )


def run_git(folder: Path, *arguments: str) -> str:
    """git with a name of its own and none of the machine's configuration."""
    who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
    )
    return done.stdout.strip()


class NetmapLike:
    """A work tree with the few files that make a folder look like netmap's source, and a pin that fits it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        patches = folder / "LINUX" / "final-patches"
        patches.mkdir(parents=True)
        (folder / "LINUX" / "configure").write_text("#!/bin/sh\n")
        (folder / "LINUX" / "configure").chmod(0o755)
        (folder / "LINUX" / "link").symlink_to("configure")
        (patches / "vanilla--e1000--31200--99999").write_text("--- a/x\n+++ b/x\n")
        run_git(folder, "init", "-q")
        self.commit = self.commit_all("first")

    def commit_all(self, subject: str) -> str:
        run_git(self.folder, "add", "-A")
        run_git(self.folder, "commit", "-q", "-m", subject)
        return run_git(self.folder, "rev-parse", "HEAD")

    def build_pin(self, tree_sha256: str, commit: str | None = None) -> NetmapPin:
        return NetmapPin(
            url="https://example.invalid/netmap",
            commit=commit or self.commit,
            tree_sha256=tree_sha256,
            subsystems=["vale"],
        )


@pytest.fixture
def netmap(tmp_path: Path) -> NetmapLike:
    folder = tmp_path / "netmap"
    folder.mkdir()
    return NetmapLike(folder)


@pytest.fixture
def miniature(tmp_path: Path, inputs: BuildInputs) -> Miniature:
    return Miniature(tmp_path, inputs)
