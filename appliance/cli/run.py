# SPDX-License-Identifier: Apache-2.0
"""`appliance run`: be the daemon."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from appliance.cli.console import print_line
from appliance.cli.options import RuntimeDirOption, StateDirOption
from appliance.daemon.folders import DEFAULT_CONFIG, find_folders
from appliance.telemetry import render_account

ConfigOption = Annotated[Path, typer.Option("--config", metavar="CONFIG", help="The configuration file.")]


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    runtime_dir: RuntimeDirOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Be the daemon: start workers, or take running ones over.

    SIGTERM or Ctrl-C stops the workers and prints the final account of frames. SIGHUP applies the
    configuration file again. SIGUSR1 ends the daemon and leaves the workers running for the next one.
    """
    from appliance.daemon.run import run_daemon  # uvicorn and FastAPI: no other command waits for them

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("appliance").setLevel(logging.INFO)
    final = run_daemon(find_folders(runtime_dir, state_dir), config)
    if final is not None:
        print_line(render_account(final.ports))
