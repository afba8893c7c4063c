# SPDX-License-Identifier: Apache-2.0
"""pydantic's errors in the words of an operator: what was seen, what is wanted."""

import typing
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from appliance.config.schema import NAME_PATTERN
from appliance.config.yaml_source import Location, Problem

_SHOWN_CHARACTERS = 60


def render_seen(value: object) -> str:
    """A value as the operator wrote it, and what kind of thing it is where that is the point."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def render_error(error: ErrorDetails, model: type[BaseModel]) -> Problem:
    """One pydantic error to a problem at its location."""
    # Which form of a field was tried (`schema.DefaultField`) is not a part of the file.
    location: Location = tuple(part for part in error["loc"] if not str(part).startswith("\0"))
    kind = error["type"]
    if kind == "extra_forbidden":
        return Problem(location, _render_unknown(str(location[-1]), find_fields(model, location[:-1])))
    if kind == "missing":
        fields = find_fields(model, location[:-1])
        return Problem(location, f"missing; give {fields.get(str(location[-1]), 'it')}")
    render = _TEXTS.get(kind)
    if render is None:
        return Problem(location, error["msg"])
    return Problem(location, render(error.get("input"), error.get("ctx", {})))


def find_fields(model: type[BaseModel], location: Location) -> dict[str, str]:
    """Field name as written in the file → its description, of the section at `location`."""
    section: type[BaseModel] = model
    for part in location:
        if isinstance(part, int):
            continue
        names = {info.alias or name: info for name, info in section.model_fields.items()}
        inner = _find_section(names[part].annotation) if part in names else None
        if inner is None:
            return {}
        section = inner
    return {info.alias or name: info.description or "it" for name, info in section.model_fields.items()}


def _find_section(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _find_section(argument)
        if found is not None:
            return found
    return None


def _render_unknown(name: str, known: Mapping[str, str]) -> str:
    close = get_close_matches(name, known, n=1)
    if close:
        return f"unknown field; did you mean `{close[0]}`?"
    return f"unknown field; known here: {', '.join(known)}"


def render_unknown_name(what: str, name: str, known: list[str]) -> str:
    """What is told about the name of a worker, port or route that does not exist."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f"no {what} {name}; did you mean {close[0]}?"
    return f"no {what} {name}; known: {', '.join(known)}"


def _render_short(_value: Any, context: Mapping[str, Any]) -> str:
    seen, wanted = context["actual_length"], context["min_length"]
    what = "the list is empty" if seen == 0 else f"{seen} entr{'y is' if seen == 1 else 'ies are'} too few"
    return f"{what}; at least {wanted} {'is' if wanted == 1 else 'are'} needed"


def _render_int(value: Any, _context: Mapping[str, Any]) -> str:
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return f"{value!r} is text, a whole number is wanted; remove the quotes"
    return "empty; give a number" if value is None else f"{render_seen(value)} is not a whole number"


def _render_text(value: Any, _context: Mapping[str, Any]) -> str:
    if isinstance(value, bool | int | float):
        return f"{render_seen(value)} is not text; put it in quotes"
    return "empty; give a value" if value is None else f"{render_seen(value)} is not text"


def _render_pattern(value: Any, context: Mapping[str, Any]) -> str:
    if context.get("pattern") != NAME_PATTERN:
        return f"{render_seen(value)} does not match {context.get('pattern')}"
    if not value:
        return "empty; give a name"
    return (
        f"{render_seen(value)} is not a name; use 1 to 63 letters, digits, `-`, `_` and `.`, "
        "a letter or a digit first"
    )


def _render_literal(value: Any, context: Mapping[str, Any]) -> str:
    expected = str(context.get("expected", "")).replace("'", "").replace("True", "true")
    return f"{render_seen(value)} is not known; use {expected}"


_Render = Callable[[Any, Mapping[str, Any]], str]
_TEXTS: dict[str, _Render] = {
    "int_type": _render_int,
    "string_type": _render_text,
    "string_pattern_mismatch": _render_pattern,
    "literal_error": _render_literal,
    "value_error": lambda _value, context: str(context.get("error", "not valid")),
    "list_type": lambda value, _: f"{render_seen(value)} is not a list; begin each entry with `- `",
    "model_type": lambda value, _: f"{render_seen(value)} is not a mapping; write `field: value` lines",
    "bool_type": lambda value, _: f"{render_seen(value)} is neither true nor false; write one of the two",
    "dict_type": lambda value, _: f"{render_seen(value)} is not a mapping; write `field: value` lines",
    "greater_than_equal": lambda value, context: f"{value} is too small; at least {context['ge']}",
    "less_than_equal": lambda value, context: f"{value} is too large; at most {context['le']}",
    "too_short": _render_short,
    "too_long": lambda _, context: (
        f"{context['actual_length']} entries are too many; at most {context['max_length']}"
    ),
}
