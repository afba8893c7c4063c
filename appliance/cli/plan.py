# SPDX-License-Identifier: Apache-2.0
"""`appliance plan`: what would apply do?"""

from appliance.cli.console import print_json, print_line
from appliance.cli.options import ConfigArgument, JsonOption, RuntimeDirOption
from appliance.client import ControlClient
from appliance.config.load import load_text
from appliance.daemon.api import PlannedAction
from appliance.daemon.folders import DEFAULT_CONFIG, find_folders


def plan(
    config: ConfigArgument = DEFAULT_CONFIG, json: JsonOption = False, runtime_dir: RuntimeDirOption = None
) -> None:
    """Show what apply would do, and do nothing."""
    text = load_text(config)
    with ControlClient(find_folders(runtime_dir, None).socket) as client:
        result = client.plan(str(config.absolute()), text)
    if json:
        print_json(result)
        return
    for action in result.actions:
        print_line(render_action(action))
    if not result.actions:
        print_line("nothing to do")


def render_action(action: PlannedAction) -> str:
    """One action as a line; those that lose frames say so."""
    return f"{action}{' (frames are lost meanwhile)' if action.disruptive else ''}"
