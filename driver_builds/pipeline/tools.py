# SPDX-License-Identifier: Apache-2.0
"""Stage tools: the kernel's own compiler and what Kbuild needs are there, on this host or in a chroot."""

from driver_builds.errors import StageError
from driver_builds.pipeline.context import BuildContext
from driver_builds.plan import Stage, Step


def apply_tools(build: BuildContext, step: Step) -> None:
    """Makes the builder ready; raises StageError when its compiler is not the one that was planned with."""
    build.builder.prepare()
    seen, wanted = build.builder.read_compiler(), build.inputs.compiler
    if seen != wanted:
        reason = f"its compiler is {seen!r}, planned was {wanted!r}; run the same command again"
        raise StageError(Stage.TOOLS, step.subject, reason)
