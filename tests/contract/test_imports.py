# SPDX-License-Identifier: Apache-2.0
"""Import rules that import-linter cannot see: a compiled module, and a module of the standard library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def list_imports(folder: Path) -> Iterator[tuple[str, str]]:
    """(file, module imported) of every import statement below a folder, wherever in the file it stands."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((str(path.relative_to(ROOT)), name) for name in names)


@pytest.mark.parametrize(
    ("module", "owners"),
    [
        ("appliance.fastpath._native", ("appliance/fastpath/",)),
        ("pyroute2", ("appliance/host/",)),
        ("subprocess", ("appliance/host/",)),
    ],
)
def test_only_its_owner_imports_it(module: str, owners: tuple[str, ...]) -> None:
    found = [
        (file, name)
        for file, name in list_imports(ROOT / "appliance")
        if name == module or name.startswith(module + ".")
    ]
    assert found, f"nothing imports {module}: is the rule still about anything?"
    strangers = [f"{file} imports {name}" for file, name in found if not file.startswith(owners)]
    assert not strangers
