# SPDX-License-Identifier: Apache-2.0
"""Stage fetch: a package from the distribution, or the one in the cache when its bytes are right."""

from driver_builds.distributions import apt
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import Step


def apply_fetch(build: BuildContext, step: Step) -> None:
    """Leaves the package's checked file in `build.package_files`."""
    package = next(package for package in build.inputs.packages.all if package.name == step.subject)
    build.package_files[package.name] = apt.fetch_package(package, build.cache)
