# SPDX-License-Identifier: Apache-2.0
"""`driver-builds check`: will the next boot of this host have its drivers?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from driver_builds.catalogue import load_drivers
from driver_builds.check.modules import find_problems, find_signature_reason
from driver_builds.check.needs import Needs, read_needs
from driver_builds.check.next_boot import NextKernel, read_next_kernel
from driver_builds.cli import console, options
from driver_builds.errors import ExitCode

Root = Annotated[Path, typer.Option("--root", metavar="DIR", help="Root folder of the host to look at.")]
Kernel = Annotated[
    str | None, typer.Option("--kernel", metavar="RELEASE", help="This kernel, not the one that boots next.")
]
Drivers = Annotated[
    list[str] | None,
    typer.Option("--driver", metavar="NAME", help="These drivers, not those the host needs; once for each."),
]


def check(
    root: Root = Path("/"), kernel: Kernel = None, driver: Drivers = None, json: options.Json = False
) -> None:
    """Look whether the kernel this host boots next has netmap and the patched drivers the host needs.

    One line for each thing that is missing, with what to do; exit status 1 then. Changes nothing.
    """
    with console.errors_reported(json):
        chosen = NextKernel(kernel, "--kernel") if kernel else read_next_kernel(root)
        known = load_drivers()
        needs = (
            Needs(tuple(sorted(set(driver))), "--driver")
            if driver
            else read_needs(root, chosen.release, known)
        )
        problems = find_problems(root, chosen.release, needs.drivers) if needs.drivers else []
        if json:
            console.print_json(
                {
                    "ok": not problems,
                    "kernel": asdict(chosen),
                    "drivers": asdict(needs),
                    "signatures_wanted": find_signature_reason(root, chosen.release),
                    "problems": [asdict(problem) for problem in problems],
                }
            )
        else:
            for problem in problems:
                console.print_result(f"{problem.subject}: {problem.message}")
            state = "missing" if problems else "ok"
            names = ", ".join(needs.drivers) or "none"
            console.print_result(f"{state}: next boot {chosen.release} ({chosen.decided_by})")
            console.print_result(f"{state}: drivers {names} ({needs.decided_by})")
        if problems:
            raise typer.Exit(int(ExitCode.FAILED))
