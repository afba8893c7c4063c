# SPDX-License-Identifier: Apache-2.0
"""`appliance status`: is all well, and if not, what is wrong?"""

import time
from typing import Annotated

import typer

from appliance.cli.console import Block, print_blocks, print_json, watch_blocks
from appliance.cli.options import JsonOption, RuntimeDirOption, StateDirOption
from appliance.cli.status_page import build_page
from appliance.client import ControlClient
from appliance.daemon.api import StatusDocument
from appliance.daemon.folders import Folders, find_folders
from appliance.daemon.status import read_status_without_daemon
from appliance.errors import DaemonUnreachable, ExitCode, TimedOut, UsageError

WATCH_PERIOD_S = 1.0

WatchOption = Annotated[
    bool, typer.Option("--watch", help="Show it anew every second, with rates, until Ctrl-C.")
]


def status(
    json: JsonOption = False,
    watch: WatchOption = False,
    runtime_dir: RuntimeDirOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Show whether all is well, and the account of frames.

    Exit 0: no problem. Exit 1: problems. Exit 4: no daemon answers; the account is then read from the
    workers themselves.
    """
    folders = find_folders(runtime_dir, state_dir)
    if watch and json:
        raise UsageError(
            "--watch and --json exclude each other; call `status --json` as often as you need it"
        )
    if watch:
        watch_blocks(_Watcher(folders).build, WATCH_PERIOD_S)
    document = read_status(folders)
    if json:
        print_json(document)
    else:
        print_blocks(build_page(document))
    raise typer.Exit(find_exit_code(document))


def read_status(folders: Folders) -> StatusDocument:
    """Ask the daemon, else look for oneself."""
    try:
        with ControlClient(folders.socket) as client:
            return client.read_status()
    except (DaemonUnreachable, TimedOut) as error:
        return read_status_without_daemon(folders, error.message)


def find_exit_code(document: StatusDocument) -> ExitCode:
    """What `status` exits with."""
    if not document.daemon.running:
        return ExitCode.DAEMON_UNREACHABLE
    return ExitCode.FAILED if document.problems else ExitCode.OK


class _Watcher:
    """Remembers the last look, for rates."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._last: tuple[float, StatusDocument] | None = None

    def build(self) -> list[Block]:
        now_s, document = time.monotonic(), read_status(self._folders)
        last, self._last = self._last, (now_s, document)
        if last is None:
            return build_page(document)
        return build_page(document, last[1], now_s - last[0])
