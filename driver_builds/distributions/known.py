# SPDX-License-Identifier: Apache-2.0
"""A kernel's packages, from what is known of it: remembered, in this package's data, or in the archive's index.

The first place that has them decides, so that the same kernel stays the same inputs until --refresh asks for
the index. A fleet runs kernels longer than the archive keeps them: what is in the cache stays buildable.
"""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from driver_builds import process
from driver_builds.catalogue import load_drivers
from driver_builds.compiler import parse_compiler_version, parse_config_compiler
from driver_builds.distributions import KernelPackages, apt, archives, debian, rhel, ubuntu
from driver_builds.distributions.releases import Distribution, find_distributions, load_distributions
from driver_builds.errors import ConfigError, StageError
from driver_builds.release import KernelRelease, parse_release, release_order

_PACKAGES = TypeAdapter(KernelPackages)


def read_kernel_packages(release: KernelRelease, cache: Path, *, refresh: bool = False) -> KernelPackages:
    """The packages of `release`; asks the archive only when nothing is known yet, or with `refresh`.

    Raises StageError when no exact set is known anywhere.
    """
    note = cache / "resolved" / f"{release.text}.json"
    if not refresh:
        for path in (note, get_data_folder() / note.name):
            if path.is_file() and (packages := _load(path, release)) is not None:
                return _complete(packages, cache)
    packages = find_in_archives(release, cache, refresh=refresh)
    save_kernel_packages(packages, note)
    return packages


def _complete(packages: KernelPackages, cache: Path) -> KernelPackages:
    """With the configuration that could not be read before, once the headers are there."""
    there = apt.get_package_path(packages.headers, cache).is_file()
    return packages if packages.compiler_record or not there else read_configuration(packages, cache)


def get_data_folder() -> Path:
    """This package's data/kernels."""
    return Path(__file__).parents[1] / "data" / "kernels"


def save_kernel_packages(packages: KernelPackages, path: Path) -> None:
    """Writes what `read_kernel_packages` reads: a remembered kernel, or one for data/kernels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(render_kernel_packages(packages), "utf-8")
    fresh.replace(path)


def render_kernel_packages(packages: KernelPackages) -> str:
    """The same inputs give the same text."""
    return json.dumps({**asdict(packages), "release": packages.release.text}, indent=2) + "\n"


def parse_kernel_packages(text: str) -> KernelPackages:
    """What `render_kernel_packages` wrote; raises ValueError."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or not isinstance(fields.get("release"), str):
        raise ValueError("no release")
    return _PACKAGES.validate_python({**fields, "release": parse_release(fields["release"])})


def _load(path: Path, release: KernelRelease) -> KernelPackages | None:
    """None where it is of an older version of this program, or damaged: the archive is then asked again."""
    try:
        packages = parse_kernel_packages(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    whole = packages.release == release and all(package.path and package.suite for package in packages.all)
    return packages if whole else None


def load_known_kernels() -> dict[str, KernelPackages]:
    """The kernels of data/kernels by release, oldest first."""
    known = {}
    for file in get_data_folder().glob("*.json"):
        try:
            packages = parse_kernel_packages(file.read_text("utf-8"))
        except (ValueError, ValidationError) as error:
            raise ConfigError(f"driver_builds/data/kernels/{file.name}: {error}") from error
        known[packages.release.text] = packages
    return dict(sorted(known.items(), key=lambda item: release_order(item[1].release)))


def find_in_archives(release: KernelRelease, cache: Path, *, refresh: bool = False) -> KernelPackages:
    """The packages of `release` as the index of its distribution release gives them."""
    seen: list[KernelRelease] = []
    finders = {"debian": debian.find_kernel_packages, "ubuntu": ubuntu.find_kernel_packages}
    distributions = find_distributions(release)
    rhel.check_family(release, distributions)
    for distribution in distributions:
        stanzas = archives.read_index(distribution, cache, refresh=refresh)
        packages = finders[distribution.family](release, distribution, stanzas)
        if packages is not None:
            return read_configuration(packages, cache)
        seen += debian.find_releases(stanzas)
    where = " or ".join(f"the archive of {distribution.name}" for distribution in distributions)
    raise StageError("resolve", release.text, debian.describe_missing(release, seen, where))


def read_configuration(packages: KernelPackages, cache: Path) -> KernelPackages:
    """`packages` with what the kernel's own configuration says, out of the (small) headers package.

    Without it where that package cannot be fetched: the build's own stage fetch then says why.
    """
    try:
        file = apt.fetch_package(packages.headers, cache)
    except StageError:
        return packages
    config = read_member(file, f"usr/src/linux-headers-{packages.release.text}/.config")
    record = parse_config_compiler(config)
    if not record:
        raise StageError("resolve", packages.release.text, f"{file.name} does not say what compiler was used")
    lines = set(config.splitlines())
    absent = [driver.name for driver in load_drivers().values() if f"{driver.config}=m" not in lines]
    # Headers that name no compiler leave it to the record: "x86_64-linux-gnu-gcc-13 (Ubuntu ...) 13.2.0" is gcc-13.
    compiler = packages.compiler or f"gcc-{parse_compiler_version(record).split('.')[0]}"
    return replace(packages, compiler=compiler, compiler_record=record, absent=tuple(absent))


def read_member(package: Path, member: str) -> str:
    """The text of one file in a .deb; raises StageError when it has none."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        process.stream_output(command, environment=process.build_environment()) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        text = None
        for entry in tar:
            if entry.name.removeprefix("./") == member and (file := tar.extractfile(entry)) is not None:
                text = file.read().decode("utf-8", "replace")
    if text is None:
        raise StageError("resolve", package.name, f"the package has no {member}")
    return text


def read_releases(cache: Path, *, refresh: bool = False) -> dict[Distribution, list[KernelRelease]]:
    """The kernels each distribution release's archive has, newest last."""
    found = {}
    for distribution in load_distributions():
        if distribution.family != "debian":
            continue  # their archives are asked for a kernel only when one is wanted
        stanzas = archives.read_index(distribution, cache, refresh=refresh)
        releases = debian.find_releases(stanzas)
        found[distribution] = [release for release in releases if distribution.has_kernel(release)]
    return found


def group_releases(releases: Sequence[KernelRelease]) -> list[list[KernelRelease]]:
    """The kernels of each series, flavour and feature set; newest last."""
    groups: dict[tuple[str, str, str | None], list[KernelRelease]] = {}
    for release in sorted(releases, key=release_order):
        groups.setdefault((release.series, release.flavour, release.featureset), []).append(release)
    return list(groups.values())


def select_newest(releases: Sequence[KernelRelease], count: int) -> list[KernelRelease]:
    """The newest `count` of each series, flavour and feature set; oldest first."""
    chosen = [release for group in group_releases(releases) for release in group[-count:]]
    return sorted(chosen, key=release_order)
