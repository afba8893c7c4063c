# SPDX-License-Identifier: Apache-2.0
"""Pages as they are shown, kept in golden/. Write them anew: `pytest tests/unit/cli --update-golden`, read the diff."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files of tests/unit/cli anew"
    )


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`check_golden(name, text)`: golden/name.txt is this text."""
    # This conftest is read too late for its option where pytest is started on the whole tree.
    update = request.config.getoption("--update-golden", default=False)

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if update:
            path.write_text(text)
        assert path.exists(), f"{path} is missing; run pytest tests/unit/cli --update-golden"
        assert text == path.read_text(), f"{path} differs; run pytest tests/unit/cli --update-golden"

    return check
