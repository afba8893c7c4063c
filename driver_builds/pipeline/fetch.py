# SPDX-License-Identifier: Apache-2.0
"""Stage fetch: a package from the distribution, or the one in the cache when its bytes are right."""

from driver_builds.distributions import apt
from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import Stage, Step


def apply_fetch(build: BuildContext, step: Step) -> None:
    """Leaves the package's checked file in `build.package_files`."""
    package = next(package for package in build.inputs.packages.all if package.name == step.subject)
    try:
        build.package_files[package.name] = apt.fetch_package(package, build.cache)
    except StageError as error:
        others = _describe_others(build, package.name)
        if not others:
            raise
        raise StageError(Stage.FETCH, error.subject, error.reason, [*error.lines, *others]) from error


def _describe_others(build: BuildContext, name: str) -> list[str]:
    """What else is not in the cache, so that whoever brings it by hand need not come twice."""
    lines = []
    for package in build.inputs.packages.all:
        path = apt.get_package_path(package, build.cache)
        if package.name != name and not path.is_file():
            lines.append(f"also not there: {apt.describe_by_hand(package, path)}")
    return lines
