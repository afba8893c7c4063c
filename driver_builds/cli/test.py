# SPDX-License-Identifier: Apache-2.0
"""`driver-builds test`: built modules in a guest of their own kernel."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.errors import ExitCode, UsageError
from driver_builds.lab.results import Result
from driver_builds.lab.run import Tested, gather_evidence
from driver_builds.release import parse_release

Kernels = Annotated[
    list[str],
    typer.Option(
        "--kernel",
        metavar="RELEASE",
        help="Kernel to test; give it once for each.",
        default_factory=list,
        show_default="all in DIR",
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Test also what was tested before.")]


def run_tests(
    kernel: Kernels,
    cache: options.Cache,
    artifacts: options.Artifacts = Path("artifacts"),
    again: Again = False,
    json: options.Json = False,
) -> None:
    """Boot a kernel in QEMU, load the modules built for it, and move frames where QEMU has the hardware.

    Nothing is installed. A module without hardware is loaded and unloaded. What is found is kept by the bytes
    that were tested, for `matrix`. The exit status is 1 when a module failed.
    """
    with console.errors_reported(json):
        tested = [
            gather_evidence(
                folder, cache.absolute(), again=again, report=_report, waiting=console.print_waiting
            )
            for folder in _find_folders(kernel, artifacts)
        ]
        failed = any(result.evidence == "failed" for one in tested for result in one.results)
        if json:
            console.print_json({"ok": not failed, "kernels": [_describe(one) for one in tested]})
        else:
            for one in tested:
                _print(one)
        if failed:
            raise typer.Exit(int(ExitCode.FAILED))


def _find_folders(kernels: list[str], artifacts: Path) -> list[Path]:
    if kernels:
        return [artifacts / parse_release(text).text for text in kernels]
    folders = sorted(path.parent for path in artifacts.glob("*/manifest.json"))
    if not folders:
        raise UsageError(f"{artifacts}: holds no kernel's drivers; build some, or give --artifacts DIR")
    return folders


def _report(release: str, done: int, wanted: int, seconds: float) -> None:
    console.print_progress(f"guest     {release:<32} {seconds:6.1f} s, {done} of {wanted} drivers")


def _describe(tested: Tested) -> dict[str, object]:
    return {
        "release": tested.release,
        "seconds": round(tested.seconds, 1),
        "guests": tested.guests,
        "results": [result.model_dump(mode="json") for result in tested.results],
    }


def _print(tested: Tested) -> None:
    console.print_result(f"{tested.release}: {len(tested.results)} modules, {tested.guests} guests")
    for result in tested.results:
        console.print_result(f"  {result.name:<12} {result.evidence:<7} {_explain(result)}")
        for line in result.lines:
            console.print_result(f"               {line}")


def _explain(result: Result) -> str:
    text = result.reason
    if result.rings:
        text += f", {result.rings}"
    if result.reloads:
        text += f"; loaded {result.reloads} times"
    if result.remove_while_open:
        text += f"; removal while open: {result.remove_while_open}"
    return text
