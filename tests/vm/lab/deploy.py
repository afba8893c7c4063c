# SPDX-License-Identifier: Apache-2.0
"""Run the project's playbooks against the guest as a user would; read what the appliance says of itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.inventory import parse_recap
from lab.process import Deadline, run_logged, tail
from lab.ssh import Access


@dataclass(frozen=True)
class Deployment:
    """Where playbooks run from and what they run against."""

    root: Path
    folder: Path
    inventory: Path
    deadline: Deadline

    def play(self, name: str, log: Path, *extra: str, may_fail: bool = False) -> int:
        """Run playbooks/NAME.yml with its output in `log`; returns its exit status."""
        return self.play_file(Path("playbooks") / f"{name}.yml", log, *extra, may_fail=may_fail)

    def play_file(self, playbook: Path, log: Path, *extra: str, may_fail: bool = False) -> int:
        """Run a playbook of the checkout with its output in `log`; returns its exit status."""
        tools = Path(sys.executable).parent
        env = {
            **os.environ,
            "PATH": f"{tools}:{os.environ.get('PATH', '')}",
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOST_KEY_CHECKING": "1",
            # Masters of ssh's shared connections keep sockets in the run's folder and go with the guest.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
        }
        command: list[str | Path] = [
            tools / "ansible-playbook",
            "-i",
            self.inventory,
            str(playbook),
            *extra,
        ]
        return run_logged(command, log, self.deadline, env=env, cwd=self.root, may_fail=may_fail)

    def deploy(self, log: Path) -> dict[str, int]:
        """Run the site playbook; returns the counts of its recap."""
        self.play("site", log)
        return parse_recap(log.read_text(errors="replace"))

    def install_release(self, log: Path) -> None:
        """Install the appliance's commands in the guest, and run nothing of it."""
        self.play_file(Path("tests/vm/lab/release.yml"), log)

    def verify(self, log: Path, frames: int) -> tuple[bool, str]:
        """Run testinfra by the verify playbook; returns whether it passed, and its summary or last lines."""
        status = self.play("verify", log, "-e", f"verify_expect_frames={frames}", may_fail=True)
        text = log.read_text(errors="replace").splitlines()
        summaries = [line.strip(' ",') for line in text if " passed" in line and "===" in line]
        if status == 0 and summaries:
            return True, summaries[-1].strip("= ")
        return False, f"status {status}\n{tail(log)}"


def read_status(access: Access) -> dict[str, Any]:
    """`appliance status --json` in the guest; LabError where it is no JSON. Problems are in the document."""
    result = access.run("appliance status --json")
    try:
        document = json.loads(result.stdout)
    except json.JSONDecodeError as error:
        seen = (result.stdout + result.stderr).strip()
        raise LabError(
            f"in the guest: `appliance status --json` ended with {result.returncode}: {seen}"
        ) from error
    if not isinstance(document, dict):
        raise LabError("in the guest: `appliance status --json` printed no object")
    return document


def read_next_boot(access: Access) -> tuple[bool, str]:
    """`driver-builds check` in the guest: whether the next boot has its drivers, and what it says first."""
    result = access.run("/opt/appliance/venv/bin/driver-builds check", limit_s=300)
    if result.returncode not in (0, 1) or not result.stdout:
        raise LabError(
            f"in the guest: `driver-builds check` ended with {result.returncode}: {result.stderr.strip()}"
        )
    return result.returncode == 0, result.stdout.splitlines()[0]


def read_stock(access: Access, drivers: Sequence[str]) -> list[str]:
    """What is left of the modules' package in the guest; [] where it is as it was before."""
    listed = access.run(
        "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' 'netmap-modules-*' 2>/dev/null"
    ).stdout
    left = [line for line in listed.splitlines() if line.endswith(" installed")]
    files = access.read(f"modinfo -n {' '.join(drivers)}").splitlines()
    left += [file for file in files if "/kernel/" not in file]
    loaded = access.run("cat /sys/module/netmap/refcnt").stdout.strip()
    return [*left, *([f"netmap is loaded, {loaded} users"] if loaded else [])]


def worker_pids(status: dict[str, Any]) -> dict[str, int]:
    """Worker name -> pid."""
    return {worker["name"]: worker["pid"] for worker in status["workers"]}


def sum_account(status: dict[str, Any]) -> dict[str, int]:
    """received, forwarded and dropped frames over all ports of the network.

    Not over the host's side of a netmap port (NAME^): what the guest itself sends was sent by no generator.
    """
    accounts = [port for port in status["ports"] if not port["name"].endswith("^")]
    return {
        "received": sum(account["received_frames"] for account in accounts),
        "forwarded": sum(account["forwarded_frames"] for account in accounts),
        "dropped": sum(sum(account["dropped_frames"].values()) for account in accounts),
    }
