# SPDX-License-Identifier: Apache-2.0
"""Stage unpack: the kernel's build folder and the drivers' sources, and whether they belong together."""

import hashlib
import re

from driver_builds.compiler import check_compiler
from driver_builds.distributions import unpacking
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.vendor import apply_vendor_unpack
from driver_builds.plan import Stage, Step


def apply_unpack(build: BuildContext, step: Step) -> None:
    """Leaves `build.kernel`, or `build.sources` when the step is about the source package."""
    if build.inputs.get_vendor(step.subject):
        apply_vendor_unpack(build, step)
    elif step.subject == build.inputs.packages.source.name:
        _unpack_sources(build)
    else:
        _unpack_kernel(build)


def _unpack_kernel(build: BuildContext) -> None:
    packages = build.inputs.packages
    key = _hash_texts(unpacking.LAYOUT, *(package.sha256 for package in packages.build_packages))
    target = build.cache / "kernels" / f"{packages.release.text}-{key[:16]}"
    files = [build.package_files[package.name] for package in packages.build_packages]
    build.kernel = unpacking.unpack_kernel(packages, files, target)
    config = build.kernel.config.read_text("utf-8")
    check_compiler(packages.release.text, config, packages.compiler, build.inputs.compiler)


def _unpack_sources(build: BuildContext) -> None:
    package = build.inputs.packages.source
    packages = build.inputs.packages
    used = [package, *([packages.rt_patches] if packages.rt_patches else [])]
    members = [driver.source for driver in build.inputs.probed]
    key = _hash_texts(*(file.sha256 for file in used), *members)
    target = build.cache / "sources" / f"{package.name}_{package.version}-{key[:16]}"
    files = [build.package_files[file.name] for file in used]
    build.sources = unpacking.unpack_sources(packages, files, members, target)
    version = parse_source_version((build.sources / "Makefile").read_text("utf-8"))
    code = build.ready_kernel.build / "include/generated/uapi/linux/version.h"
    headers = parse_headers_version(code.read_text("utf-8"))
    # Ubuntu numbers all packages of a series .0, whatever stable release is in them.
    told = 2 if packages.distribution.startswith("ubuntu") else 3
    same = version[:told] == packages.kernel_version[:told]
    if not same or not is_same_version(version, headers):
        raise StageError(
            Stage.UNPACK,
            package.name,
            f"the source is of kernel {_join(version)}, the headers are of "
            f"{_join(headers)}; they must be the same, no other is taken instead",
        )


def parse_source_version(makefile: str) -> tuple[int, int, int]:
    """VERSION, PATCHLEVEL and SUBLEVEL of a kernel source's top Makefile."""
    fields = dict(re.findall(r"(?m)^(VERSION|PATCHLEVEL|SUBLEVEL)\s*=\s*([0-9]+)\s*$", makefile))
    return int(fields["VERSION"]), int(fields["PATCHLEVEL"]), int(fields["SUBLEVEL"])


def parse_headers_version(header: str) -> tuple[int, int, int]:
    """The same three numbers as the headers' generated version.h has them.

    Before 5.12 it has one code only, in which a last number above 255 reads 255.
    """
    fields = dict(re.findall(r"#define LINUX_VERSION_(CODE|MAJOR|PATCHLEVEL|SUBLEVEL)\s+([0-9]+)", header))
    if "MAJOR" in fields:
        return int(fields["MAJOR"]), int(fields["PATCHLEVEL"]), int(fields["SUBLEVEL"])
    code = int(fields["CODE"])
    return code >> 16, code >> 8 & 255, code & 255


def is_same_version(source: tuple[int, int, int], headers: tuple[int, int, int]) -> bool:
    """Whether the headers are of the source's kernel, as far as their version.h can say."""
    return headers in {source, (*source[:2], min(source[2], 255))}


def _join(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def _hash_texts(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
