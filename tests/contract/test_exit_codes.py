# SPDX-License-Identifier: Apache-2.0
"""appliance/errors.py is where exit codes are; whoever repeats them says the same."""

import inspect
import re
from pathlib import Path

import pytest

from appliance import errors
from appliance.cli.main import app
from appliance.errors import ApplianceError, ExitCode
from driver_builds.errors import ExitCode as BuildExitCode

ROOT = Path(__file__).parents[2]

MEANINGS = {
    ExitCode.OK: "ok",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage",
    ExitCode.CONFIG_REFUSED: "configuration refused",
    ExitCode.DAEMON_UNREACHABLE: "daemon unreachable",
    ExitCode.UNSAFE: "refused as unsafe",
    ExitCode.TIMED_OUT: "timed out",
    ExitCode.INTERRUPTED: "interrupted",
}
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, ApplianceError) and value is not ApplianceError
]


def test_every_code_has_a_meaning_here() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_architecture_page() -> None:
    line = "Exit codes: " + " · ".join(f"{code:d} {text}" for code, text in MEANINGS.items()) + "."
    assert line in (ROOT / "ARCHITECTURE.md").read_text()


def test_help() -> None:
    text = ", ".join(f"{code:d} {text}" for code, text in MEANINGS.items())
    assert app.info.epilog == f"Exit codes: {text}."


def test_driver_builds() -> None:
    assert {code.name: code.value for code in BuildExitCode} == {code.name: code.value for code in ExitCode}


def test_the_service_does_not_retry_what_cannot_become_right() -> None:
    unit = (ROOT / "roles/appliance/templates/appliance.service.j2").read_text()
    found = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert found is not None
    never = {ExitCode.USAGE, ExitCode.CONFIG_REFUSED, ExitCode.UNSAFE}
    assert {int(code) for code in found[1].split()} == never


def test_the_role_waits_for_the_daemon_by_its_code() -> None:
    tasks = (ROOT / "roles/appliance/tasks/apply.yml").read_text()
    assert f"appliance_applied.rc != {ExitCode.DAEMON_UNREACHABLE:d}" in tasks


@pytest.mark.parametrize("error", CLASSES, ids=[error.__name__ for error in CLASSES])
def test_the_tree_in_the_docstring(error: type[ApplianceError]) -> None:
    assert errors.__doc__ is not None
    depth = len(error.__mro__) - len(ApplianceError.__mro__)
    line = rf"^    (?:│   |    )*{'' if depth == 0 else '[├└]── '}{error.__name__} +{error.exit_code:d}  \S"
    assert re.search(line, errors.__doc__, re.MULTILINE), f"{error.__name__} is not in the tree with its code"
