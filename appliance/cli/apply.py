# SPDX-License-Identifier: Apache-2.0
"""`appliance apply`: make a configuration active."""

from typing import Annotated

import typer

from appliance.cli.console import print_json, print_line
from appliance.cli.options import ConfigArgument, JsonOption, RuntimeDirOption
from appliance.cli.plan import render_action
from appliance.client import ControlClient
from appliance.config.load import load_text
from appliance.daemon.folders import DEFAULT_CONFIG, find_folders

AllowRestartOption = Annotated[
    bool, typer.Option("--allow-restart", help="Accept that workers restart and lose frames meanwhile.")
]


def apply(
    config: ConfigArgument = DEFAULT_CONFIG,
    allow_restart: AllowRestartOption = False,
    json: JsonOption = False,
    runtime_dir: RuntimeDirOption = None,
) -> None:
    """Make a configuration active.

    A change of routes never restarts a worker and loses no frame. A change of workers or ports does, and is
    refused (exit 5) without --allow-restart. A refusal leaves everything as it was.
    """
    text = load_text(config)
    with ControlClient(find_folders(runtime_dir, None).socket) as client:
        result = client.apply(str(config.absolute()), text, allow_restart)
    if json:
        print_json(result)
        return
    for action in result.actions:
        print_line(render_action(action))
    print_line(f"{'changed' if result.changed else 'unchanged'}: generation {result.generation}")
