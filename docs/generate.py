# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference from the code: `make docs`. tests/contract/test_reference.py fails where it is stale."""

import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Discriminator
from pydantic.fields import FieldInfo
from typer.main import get_command
from typer.testing import CliRunner

from appliance.cli.main import app as appliance_app
from appliance.config.schema import Config
from appliance.errors import ExitCode
from appliance.fastpath import DROP_REASONS
from driver_builds.cli.main import app as driver_builds_app

sys.path.insert(0, str(Path(__file__).parent))
from media_counters import render_media_counters

# Help looks the same whatever terminal this runs in.
_PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py (`make docs`): change the code instead. -->\n"


def main() -> int:
    """Write every page. Returns 0."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in render_pages().items():
        (FOLDER / name).write_text(text)
    return 0


def render_pages() -> dict[str, str]:
    """File name → text of every generated page."""
    return {
        "configuration.md": render_configuration(),
        "counters.md": render_counters(),
        "media-counters.md": render_media_counters(),
        "command-line.md": render_command_line(),
    }


def render_configuration() -> str:
    """One table a section of the schema."""
    lines = ["# Configuration", "", NOTE]
    for path, model in _walk(Config, ""):
        lines += [f"## {path or 'top level'}", "", "| field | | default |", "| --- | --- | --- |"]
        for name, field in model.model_fields.items():
            lines.append(f"| `{field.alias or name}` | {field.description} | {_render_default(field)} |")
        lines.append("")
    return "\n".join(lines)


def _walk(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        for inner, many in _find_models(field.annotation, False):
            yield from _walk(inner, f"{here}[]" if many else here)


def _find_models(annotation: object, many: bool) -> Iterator[tuple[type[BaseModel], bool]]:
    """The sections a field may hold, and whether it is a list of them."""
    origin = typing.get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, many
    elif origin is typing.Annotated:
        inner, *marks = typing.get_args(annotation)
        if not any(isinstance(mark, Discriminator) for mark in marks):  # `default:` has the outputs of routes
            yield from _find_models(inner, many)
    elif origin in (list, types.UnionType, typing.Union):
        for argument in typing.get_args(annotation):
            yield from _find_models(argument, many or origin is list)


def _render_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default is None:
        return ""
    return f"`{str(field.default).lower()}`"  # as YAML has it: false


def render_counters() -> str:
    """Drop reasons and exit codes."""
    lines = [
        "# Drop reasons and exit codes",
        "",
        NOTE,
        "## Drop reasons",
        "",
        "| reason | meaning |",
        "| --- | --- |",
    ]
    lines += [f"| `{reason.label}` | {reason.meaning} |" for reason in DROP_REASONS]
    lines += ["", "## Exit codes", "", "| code | |", "| --- | --- |"]
    lines += [f"| {code.value} | {code.name.lower().replace('_', ' ')} |" for code in ExitCode]
    return "\n".join([*lines, ""])


def render_command_line() -> str:
    """The help of every command."""
    lines = ["# Command line", "", NOTE]
    for program, app in (("appliance", appliance_app), ("driver-builds", driver_builds_app)):
        for command in ("", *get_command(app).commands):  # type: ignore[attr-defined]
            shown = CliRunner(env=_PLAIN).invoke(app, [*command.split(), "--help"], prog_name=program).output
            text = "\n".join(line.rstrip() for line in shown.strip().splitlines())
            lines += [f"## {program} {command}".rstrip(), "", "```", text, "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
