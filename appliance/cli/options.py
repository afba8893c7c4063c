# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several commands take, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from appliance.daemon.folders import DEFAULT_RUNTIME_DIR, DEFAULT_STATE_DIR

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
RuntimeDirOption = Annotated[
    Path | None,
    typer.Option(
        "--runtime-dir",
        metavar="DIR",
        help=f"Socket and state segments; $APPLIANCE_RUNTIME_DIR, else {DEFAULT_RUNTIME_DIR}.",
        show_default=False,
    ),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help=f"What survives a boot; $APPLIANCE_STATE_DIR, else {DEFAULT_STATE_DIR}.",
        show_default=False,
    ),
]
