# SPDX-License-Identifier: Apache-2.0
"""A distribution's own kernel image and its stock modules, unpacked into the cache: nothing is installed."""

import hashlib
import lzma
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import Package, apt, known
from driver_builds.errors import DriverBuildError, StageError
from driver_builds.modinfo import parse_module
from driver_builds.release import parse_release

# Most of an image's 400 MB are modules that no network driver depends on.
_UNNEEDED = (
    *("sound", "fs", "block", "virt", "samples", "net/wireless", "net/mac80211", "net/bluetooth"),
    *(f"drivers/{name}" for name in ("gpu", "media", "staging", "iio", "scsi", "usb", "input", "hid", "md")),
    *(f"drivers/{name}" for name in ("mtd", "ata", "video", "net/wireless", "net/usb", "isdn", "comedi")),
)
_SUFFIXES = ("", ".xz", ".zst", ".gz")


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A bootable kernel file, and its stock modules by name (with "_", as the kernel spells them)."""

    release: str
    kernel: Path
    modules: Mapping[str, Path]


def load_image(release: str, cache: Path) -> KernelImage:
    """The image of `release`, fetched and unpacked once; raises StageError when there is none of that release."""
    packages = _find_packages(release, cache)
    files = [apt.fetch_package(package, cache) for package in packages]
    key = hashlib.sha256("\0".join(package.sha256 for package in packages).encode()).hexdigest()
    target = cache / "images" / f"{release}-{key[:16]}"
    store.fill_once(target, lambda folder: _unpack(files, folder))
    return find_image(release, target)


def find_image(release: str, folder: Path) -> KernelImage:
    """The image in unpacked packages; raises StageError when there is none."""
    # Debian keeps it in the modules' folder since 7.x; installing copies it to /boot.
    places = (
        f"boot/vmlinuz-{release}",
        f"usr/lib/modules/{release}/vmlinuz",
        f"lib/modules/{release}/vmlinuz",
    )
    kernel = next((folder / place for place in places if (folder / place).is_file()), None)
    if kernel is None:
        raise StageError("image", release, f"the image packages have none of {', '.join(places)}")
    modules = {}
    for top in ("lib", "usr/lib"):
        for path in (folder / top / "modules" / release / "kernel").rglob("*.ko*"):
            modules[path.name.partition(".ko")[0].replace("-", "_")] = path
    return KernelImage(release, kernel, modules)


def _find_packages(release: str, cache: Path) -> tuple[Package, ...]:
    packages = known.read_kernel_packages(parse_release(release), cache)
    if packages.images:
        return packages.images
    reason = f"the distribution has no linux-image of version {packages.headers.version}; run apt-get update"
    raise StageError("image", release, reason)


def _unpack(files: Sequence[Path], folder: Path) -> None:
    for file in files:
        done = process.run(["dpkg-deb", "-x", str(file), str(folder)])
        if done.status != 0:
            raise DriverBuildError(f"{file.name}: dpkg-deb cannot unpack it: {done.output.strip()}")
    for top in ("lib", "usr/lib"):
        for name in _UNNEEDED:
            for unneeded in folder.glob(f"{top}/modules/*/kernel/{name}"):
                shutil.rmtree(unneeded)


def read_module(path: Path) -> bytes:
    """A module file's content, decompressed: FILE.ko, .ko.xz or .ko.zst."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix != ".zst":
        return path.read_bytes()
    with process.stream_output(["zstd", "-dcq", str(path)], environment=process.build_environment()) as out:
        return out.read()


def order_modules(name: str, built: Mapping[str, bytes], image: KernelImage) -> dict[str, bytes]:
    """`name` and all modules it needs, by name, each after what it needs itself; built ones before stock ones."""
    found: dict[str, bytes] = {}
    for module, content in _walk(name, built, image, ()):
        found.setdefault(module, content)
    return found


def _walk(
    name: str, built: Mapping[str, bytes], image: KernelImage, above: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    key = name.replace("-", "_")
    if key in above:
        raise StageError("load", above[0], f"modules depend on each other: {' -> '.join((*above, key))}")
    if key in built:
        content = built[key]
    elif key in image.modules:
        content = read_module(image.modules[key])
    else:
        wanted = above[-1] if above else image.release
        raise StageError("load", above[0] if above else key, f"{wanted} needs {key}, which no package has")
    for needed in parse_module(content).depends:
        yield from _walk(needed, built, image, (*above, key))
    yield key, content
