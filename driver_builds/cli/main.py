# SPDX-License-Identifier: Apache-2.0
"""The entry point of `driver-builds`."""

import signal
from types import FrameType

import typer

from driver_builds.cli.build import build
from driver_builds.cli.check import check
from driver_builds.cli.clean import clean
from driver_builds.cli.doctor import doctor
from driver_builds.cli.fetch import fetch
from driver_builds.cli.inspect import inspect
from driver_builds.cli.matrix import matrix
from driver_builds.cli.package import package
from driver_builds.cli.plan import plan
from driver_builds.cli.publish import publish
from driver_builds.cli.refresh import refresh
from driver_builds.cli.sign import sign
from driver_builds.cli.targets import targets
from driver_builds.cli.test import run_tests
from driver_builds.cli.verify import verify

app = typer.Typer(
    help="Builds netmap and the netmap-patched NIC drivers for named kernels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    targets,
    plan,
    fetch,
    build,
    inspect,
    matrix,
    package,
    sign,
    publish,
    check,
    verify,
    doctor,
    clean,
    refresh,
):
    app.command()(command)
app.command("test")(run_tests)


def main() -> None:
    """Runs the command line; SIGTERM ends it like Ctrl-C, with compilers stopped and nothing half-written."""
    signal.signal(signal.SIGTERM, _interrupt)
    app(prog_name="driver-builds")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
