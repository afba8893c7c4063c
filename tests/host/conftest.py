# SPDX-License-Identifier: Apache-2.0
"""testinfra against deployed hosts: what playbooks/verify.yml runs.

    pytest tests/host --hosts=ansible://HOST --ansible-inventory=INVENTORY [--expect-frames=N]

What a host must be is read from its own configuration: the devices of its ports decide which tests apply.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).parent))  # module_facts

CONFIG = "/etc/appliance/config.yaml"
_seen: dict[tuple[str, str], Any] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--expect-frames",
        type=int,
        default=0,
        metavar="N",
        help="fail where the host forwarded fewer frames than this",
    )


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Without hosts there is nothing to prove: said once, not once for each test."""
    return None if config.getoption("hosts") else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("hosts"):
        terminalreporter.write_line(
            "tests/host: NOT RUN: they prove deployed hosts and none was named; run playbooks/verify.yml, or give "
            "--hosts=ansible://HOST --ansible-inventory=INVENTORY"
        )


@pytest.fixture(scope="session")
def expected_frames(request: pytest.FixtureRequest) -> int:
    """Frames somebody sent through the host before; 0 where nobody said so."""
    return int(request.config.getoption("--expect-frames", default=0))


@pytest.fixture
def configuration_text(host: Host) -> str:
    """The configuration file as it is on the host."""
    key = (host.backend.get_pytest_id(), "configuration")
    if key not in _seen:
        file = host.file(CONFIG)
        assert file.exists, f"{CONFIG} is missing; run playbooks/appliance.yml"
        _seen[key] = file.content_string
    text: str = _seen[key]
    return text


@pytest.fixture
def configuration(configuration_text: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(configuration_text)
    return document


@pytest.fixture
def status(host: Host) -> dict[str, Any]:
    """`appliance status --json`, asked once for all tests of a host."""
    key = (host.backend.get_pytest_id(), "status")
    if key not in _seen:
        result = host.run("appliance status --json")
        assert result.stdout.startswith("{"), (
            f"appliance status --json ended with {result.rc} and no document: {result.stderr or result.stdout}"
        )
        _seen[key] = json.loads(result.stdout)
    document: dict[str, Any] = _seen[key]
    return document
