# SPDX-License-Identifier: Apache-2.0
"""The Jinja2 templates of this folder: a name that is not given is an error, not an empty string."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@cache
def _get_environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_template(name: str, **values: object) -> str:
    """The text of `templates/NAME.j2`."""
    return _get_environment().get_template(f"{name}.j2").render(**values)
