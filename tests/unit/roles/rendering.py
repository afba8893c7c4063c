# SPDX-License-Identifier: Apache-2.0
"""Roles' templates and derived variables, evaluated by ansible itself in one run for all of a module's cases."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]


def evaluate(
    place: Path,
    role: str,
    hosts: Mapping[str, Mapping[str, Any]],
    templates: Iterable[str],
    expressions: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """Evaluate a role's files for hosts with these variables; nothing of the role is run.

    Returns for every host the text of each of the role's `templates` by file name, and the value of each of
    `expressions` (Jinja) by its name. `place` is an empty folder.
    """
    folder = ROOT / "roles" / role
    for name in ("files", "templates"):
        (place / name).symlink_to(folder / name)  # where lookups of a play look first
    sources = {name: f"lookup('ansible.builtin.template', '{name}')" for name in templates}
    pairs = ", ".join(f"'{name}': {expression}" for name, expression in {**sources, **expressions}.items())
    play = {
        "hosts": "all",
        "gather_facts": False,
        "connection": "local",
        "vars": {"ansible_python_interpreter": sys.executable},
        "vars_files": [str(folder / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.set_fact": {
                    "netmap_drivers_wanted": "{{ netmap_drivers_names | default([]) }}"
                }
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ {%s} | to_json }}" % pairs,  # noqa: UP031 - braces mean something to Jinja
                    "dest": f"{place}/{{{{ inventory_hostname }}}}.result",
                    "mode": "0644",
                }
            },
        ],
    }
    # Defaults where they lose to a host's variables, as a role's defaults do.
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    (place / "play.json").write_text(json.dumps([play]))
    (place / "inventory.json").write_text(json.dumps({"all": {"vars": defaults, "hosts": hosts}}))
    _run_playbook(place)
    return {host: json.loads((place / f"{host}.result").read_text()) for host in hosts}


def _run_playbook(place: Path) -> None:
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "play.json"]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCAL_TEMP": str(place / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(place / "tmp"),
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
