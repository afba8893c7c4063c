# SPDX-License-Identifier: Apache-2.0
"""`driver-builds doctor`: whether this host can build, and what to install."""

from dataclasses import asdict
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.distributions import known
from driver_builds.distributions.releases import read_host_name
from driver_builds.doctor import read_findings, render_apt_line
from driver_builds.errors import ExitCode


def find_host_compilers() -> list[str]:
    """The compilers of the kernels of this host's own release; other kernels get theirs in a chroot."""
    host = read_host_name()
    return sorted({one.compiler for one in known.load_known_kernels().values() if one.distribution == host})


Compilers = Annotated[
    list[str],
    typer.Option(
        "--compiler",
        help="A kernel's compiler.",
        default_factory=find_host_compilers,
        show_default="those of the kernels of this host's release",
    ),
]


def doctor(
    compiler: Compilers,
    json: options.Json = False,
) -> None:
    """Look for everything a build needs on this host; print the apt line for what is missing."""
    with console.errors_reported(json):
        findings = read_findings(compiler)
        line = render_apt_line(findings)
        ok = all(finding.ok for finding in findings)
        if json:
            console.print_json(
                {"ok": ok, "install": line, "findings": [asdict(finding) for finding in findings]}
            )
        else:
            for finding in findings:
                console.print_result(
                    f"{'ok' if finding.ok else 'MISSING':<9}{finding.name:<24}{finding.detail}"
                )
            if line:
                console.print_result(f"run: {line}")
        if not ok:
            raise typer.Exit(int(ExitCode.FAILED))
