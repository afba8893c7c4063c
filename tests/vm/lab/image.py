# SPDX-License-Identifier: Apache-2.0
"""The guest's disk: Debian 12 by mmdebstrap, kept in a cache under a hash of everything that makes it.

An image folder is never changed: runs put a qcow2 overlay over `disk.raw`. It is built aside and renamed,
so a half-built one is never used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import sources
from lab.errors import LabError
from lab.nics import MANAGEMENT_MAC, MEDIA_MACS
from lab.process import Deadline, run_logged
from lab.report import say

_RECIPE = Path(__file__).parent / "guest"
_PACKAGES = _RECIPE / "packages.txt"
_DISK_BYTES = 4 << 30
_APT_OPTIONS = ('Acquire::Languages "none";', 'APT::Install-Recommends "false";')
_DPKG_OPTIONS = (
    "force-unsafe-io",  # a power cut during the build costs nothing but the build
    *(f"path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")),
)
_TOOLS = ("mmdebstrap", "mke2fs", "qemu-img", "qemu-system-x86_64", "ssh", "ssh-keygen", "ip", "ptp4l", "pmc")


@dataclass(frozen=True)
class Image:
    """A built image folder."""

    folder: Path

    disk = property(lambda self: self.folder / "disk.raw")
    kernel = property(lambda self: self.folder / "vmlinuz")
    initrd = property(lambda self: self.folder / "initrd")
    host_key = property(lambda self: self.folder / "host_key.pub")
    packages = property(lambda self: self.folder / "packages")

    @property
    def kernel_release(self) -> str:
        """`uname -r` of the guest."""
        return str(json.loads((self.folder / "image.json").read_text())["kernel_release"])


def cache_folder() -> Path:
    """$LAB_CACHE, else ~/.cache/studio-bypass/lab."""
    return Path(os.environ.get("LAB_CACHE") or Path.home() / ".cache" / "studio-bypass" / "lab")


def recipe_key() -> str:
    """Hash of the package lists, the build steps and the options, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(_RECIPE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    anywhere = Path("anywhere")
    command = render_mmdebstrap(
        read_package_list(_PACKAGES), anywhere, anywhere, anywhere, Path("customize.sh")
    )
    script = _render_disk_script(anywhere, anywhere, anywhere)
    digest.update(json.dumps([command, script, _APT_OPTIONS, MANAGEMENT_MAC, MEDIA_MACS]).encode())
    return digest.hexdigest()[:16]


def provide_image(
    cache: Path, log: Path, deadline: Deadline, rebuild: bool = False, needs_headers: bool = False
) -> tuple[Image, bool]:
    """The image of today's recipe and whether the cache had it; built where it is missing or `rebuild`.

    With `needs_headers` also where this machine's package sources no longer know the image's kernel: drivers
    could not be built for it.
    """
    check_tools()
    final = cache / f"image-{recipe_key()}"
    with locked(cache):
        if final.is_dir() and not rebuild:
            found = Image(final)
            if not needs_headers or sources.knows_package(f"linux-headers-{found.kernel_release}"):
                return found, True
            say(
                f"lab: apt here no longer knows linux-headers-{found.kernel_release}; building the image anew"
            )
        with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as aside:
            built = _build(Path(aside), log, deadline)
            if final.is_dir():
                final.rename(Path(aside) / "replaced")
            built.rename(final)
        remove_old(cache, "image-*", keep=2)
    return Image(final), False


def remove_old(cache: Path, pattern: str, keep: int) -> None:
    """Remove all but the newest `keep` folders of a kind. A guest that runs keeps the disk it has open."""
    folders = sorted(cache.glob(pattern), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One builder at a time in this cache; a second one waits."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("lab: another lab is building into this cache; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_tools() -> None:
    """LabError naming every program that is missing on this machine."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        raise LabError(
            f"not installed: {', '.join(missing)}; install the packages of requirements/debian-lab.txt"
        )


def _build(aside: Path, log: Path, deadline: Deadline) -> Path:
    """Make a whole image folder under `aside`."""
    if os.geteuid() != 0:
        raise LabError(
            "building the guest's image needs root, for files of other owners; build it once with "
            f"`sudo LAB_CACHE={cache_folder()} make lab …`, later runs need no root"
        )
    out = aside / "image"
    out.mkdir()
    sources_list, settings = aside / "sources.list", aside / "apt.conf"
    sources_list.write_text("\n".join(sources.read_sources()) + "\n")
    settings.write_text("\n".join([*_APT_OPTIONS, *sources.read_transport_settings()]) + "\n")
    settings.chmod(0o600)  # a proxy's address may hold a password
    tarball = aside / "root.tar"
    env = {**os.environ, "LAB_MANAGEMENT_MAC": MANAGEMENT_MAC, "LAB_MEDIA_MACS": " ".join(MEDIA_MACS)}
    command = render_mmdebstrap(read_package_list(_PACKAGES), settings, sources_list, tarball, _RECIPE)
    run_logged(command, log, deadline, env=env)
    run_logged(["sh", "-eu", "-c", _render_disk_script(aside, tarball, out)], log, deadline)
    release = (out / "release").read_text().strip()
    if len(release.split()) != 1:
        raise LabError(f"the guest's tree holds several kernels ({release}); which one boots would be chance")
    (out / "image.json").write_text(json.dumps({"kernel_release": release, "built": int(time.time())}) + "\n")
    return out


def read_package_list(path: Path) -> list[str]:
    """Package names of a list file: one a line, `#` comments."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def render_mmdebstrap(
    packages: list[str], settings: Path, sources_list: Path, tarball: Path, recipe: Path
) -> list[str]:
    """The command that makes the guest's tree as a tar file."""
    initramfs = shlex.quote(str(recipe / "initramfs.conf"))
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(packages)}",
        f"--aptopt={settings}",
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        f'--essential-hook=install -D -m 644 {initramfs} "$1/etc/initramfs-tools/conf.d/lab"',
        f'--customize-hook={shlex.quote(str(recipe / "customize.sh"))} "$1"',
        sources.RELEASE,
        str(tarball),
        str(sources_list),
    ]


def _render_disk_script(aside: Path, tarball: Path, out: Path) -> str:
    """Shell that turns the tar file into a disk and takes out what QEMU and the lab need beside it."""
    root = shlex.quote(str(aside / "root"))
    to = shlex.quote(str(out))
    return "\n".join(
        [
            "PATH=$PATH:/usr/sbin:/sbin",
            f"mkdir {root}",
            f"tar -C {root} -xf {shlex.quote(str(tarball))}",
            f"cp {root}/boot/vmlinuz-* {to}/vmlinuz",
            f"cp {root}/boot/initrd.img-* {to}/initrd",
            f"ls {root}/lib/modules >{to}/release",
            f"cp {root}/etc/ssh/ssh_host_ed25519_key.pub {to}/host_key.pub",
            f"mv {root}/var/cache/site {to}/packages",
            # No journal: the disk is read-only to everyone but an overlay that is thrown away.
            "mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 "
            f"-d {root} {to}/disk.raw {_DISK_BYTES >> 20}M",
            f"rm -rf {root}",
        ]
    )


def describe(image: Image, cached: bool) -> str:
    """For the report."""
    origin = "from the cache" if cached else "built now"
    return f"Debian 12, kernel {image.kernel_release}, {origin} ({image.folder.name})"
