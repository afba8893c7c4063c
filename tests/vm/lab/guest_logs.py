# SPDX-License-Identifier: Apache-2.0
"""What is left of a run: the report always, and every log where something failed."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.errors import LabError
from lab.report import Report
from lab.ssh import Access

_COMMANDS = {
    "guest-journal.log": "journalctl --boot --no-pager --lines 2000",
    "guest-kernel.log": "dmesg",
    "guest-status.json": "appliance status --json",
    "guest-network.log": "ip -details -statistics link",
}
_LOGS = ("*.log", "inventory.yml", "guest-*.json")


def save(access: Access, folder: Path) -> None:
    """Fetch the guest's own logs into the run folder, as far as it still answers."""
    for name, command in _COMMANDS.items():
        try:
            result = access.run(command, limit_s=30)
        except LabError as error:
            (folder / name).write_text(f"{error}\n")
            return
        (folder / name).write_text(result.stdout + result.stderr)


def publish(folder: Path, target: Path, report: Report) -> None:
    """Replace the report folder's files: the report, and the logs where the run failed. Never keys."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        if old.is_file():
            old.unlink()
    report.write_json(target / "report.json")
    (target / "report.txt").write_text(report.render_text() + "\n")
    if not report.passed:
        for pattern in _LOGS:
            for log in folder.glob(pattern):
                shutil.copy2(log, target)
