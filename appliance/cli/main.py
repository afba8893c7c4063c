# SPDX-License-Identifier: Apache-2.0
"""The program `appliance`: its commands, and what becomes of their errors."""

import os
import sys

import typer

from appliance.cli.apply import apply
from appliance.cli.capture import capture
from appliance.cli.check import check
from appliance.cli.console import print_error
from appliance.cli.plan import plan
from appliance.cli.run import run
from appliance.cli.status import status
from appliance.cli.version import version
from appliance.errors import ApplianceError, ExitCode

# No markup, no traceback boxes: help and errors are the same on a terminal and in a file.
app = typer.Typer(
    name="appliance",
    help="Forward studio media between ports, past the kernel.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=(
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration refused, 4 daemon unreachable, "
        "5 refused as unsafe, 6 timed out, 130 interrupted."
    ),
)
for command in (check, plan, apply, run, status, capture, version):
    app.command()(command)


def main() -> None:
    """Console script. Exits with the code of appliance/errors.py that fits."""
    try:
        app()
    except ApplianceError as error:
        print_error(error.message)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader has gone (`appliance status | head`): nothing to report, and nothing more to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
