# SPDX-License-Identifier: Apache-2.0
"""`driver-builds targets`: what the fleet, this host or a kernel needs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.distributions import KernelPackages, known
from driver_builds.errors import ExitCode, UsageError
from driver_builds.facts import HostFacts, load_facts, read_host_facts
from driver_builds.hardware import load_pci_table
from driver_builds.release import parse_release
from driver_builds.targets import Problem, Target, plan_kernel, plan_targets

Facts = Annotated[
    list[Path],
    typer.Option(
        "--facts",
        metavar="PATH",
        exists=True,
        default_factory=list,
        show_default=False,
        help="Facts of hosts as JSON: a file, or a folder of them (`ansible -m setup --tree DIR`).",
    ),
]
Kernels = Annotated[
    list[str],
    typer.Option(
        "--kernel",
        metavar="RELEASE",
        default_factory=list,
        show_default=False,
        help="This kernel; once for each.",
    ),
]
Host = Annotated[bool, typer.Option("--host", help="This host: its kernels and its NICs.")]
Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="With --host: the root folder of the host.")
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask the archives' indexes anew.")]


def targets(
    facts: Facts,
    kernel: Kernels,
    cache: options.Cache,
    host: Host = False,
    root: Root = Path("/"),
    refresh: Refresh = False,
    mirror: options.Mirror = None,
    json: options.Json = False,
) -> None:
    """Print the distinct targets: each kernel once, with its distribution and the drivers its hosts need.

    What nothing can be built for, a kernel or a NIC, is named, and the exit status is 1. The JSON of --host can be
    collected from hosts and given to --facts.
    """

    def resolve(text: str) -> KernelPackages:
        return known.read_kernel_packages(parse_release(text), cache, refresh=refresh)

    with console.errors_reported(json):
        options.use_mirror(mirror)
        if not (facts or kernel or host):
            raise UsageError("no host and no kernel was given; add --facts PATH, --host or --kernel RELEASE")
        hosts = [one for path in facts for one in load_facts(path)]
        hosts += [read_host_facts(root)] if host else []
        found, problems = plan_targets(hosts, load_pci_table(), resolve)
        found += [plan_kernel(resolve(text)) for text in kernel]
        if json:
            _print_json(found, problems, hosts)
        else:
            _print_text(found, problems)
        if problems:
            raise typer.Exit(int(ExitCode.FAILED))


def _print_json(found: list[Target], problems: list[Problem], hosts: list[HostFacts]) -> None:
    console.print_json(
        {
            "targets": [asdict(target) for target in found],
            "problems": [asdict(problem) for problem in problems],
            "facts": [facts.model_dump(mode="json") for facts in hosts],
        }
    )


def _print_text(found: list[Target], problems: list[Problem]) -> None:
    for target in found:
        names = " ".join(driver.name for driver in target.drivers) or "none"
        hosts = f"; for {', '.join(target.hosts)}" if target.hosts else ""
        console.print_result(f"{target.release} ({target.distribution}): {names}{hosts}")
    for problem in problems:
        console.print_result(f"{problem.host}: {problem.subject}: {problem.reason}")
