# SPDX-License-Identifier: Apache-2.0
"""Printing: progress and errors for a person on stderr, results on stdout, JSON when asked for."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from driver_builds.errors import DiskFullError, DriverBuildError, ExitCode
from driver_builds.plan import Step
from driver_builds.process import describe_disk_full


def print_result(text: str) -> None:
    """A line of the result, on stdout."""
    typer.echo(text)


def print_json(document: dict[str, Any]) -> None:
    """The result as one JSON document, on stdout."""
    typer.echo(json.dumps(document, indent=2))


def print_progress(text: str) -> None:
    """A line for the person who waits, on stderr."""
    typer.echo(text, err=True)


def print_step(step: Step, seconds: float, error: DriverBuildError | None) -> None:
    """One finished step."""
    if error is None:
        print_progress(f"{step.stage:<9} {step.subject:<32} {seconds:6.1f} s")
    else:
        print_progress(f"{step.stage:<9} {step.subject:<32} FAILED after {seconds:.1f} s\n{error}")


def print_waiting(target: Path) -> None:
    """Another process works on `target`."""
    print_progress(f"waiting for another build of {target}")


@contextmanager
def errors_reported(as_json: bool) -> Iterator[None]:
    """Turns errors of this package and Ctrl-C into a message and the exit code that belongs to it."""
    try:
        yield
    except DriverBuildError as error:
        raise _print_error(error, as_json) from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        full = DiskFullError(describe_disk_full(str(error)))
        raise _print_error(full, as_json) from error
    except KeyboardInterrupt as error:
        typer.echo("driver-builds: interrupted; nothing was written", err=True)
        raise typer.Exit(int(ExitCode.INTERRUPTED)) from error


def _print_error(error: DriverBuildError, as_json: bool) -> typer.Exit:
    if as_json:
        print_json({"error": error.describe()})
    else:
        typer.echo(f"driver-builds: {error}", err=True)
    return typer.Exit(int(error.exit_code))
