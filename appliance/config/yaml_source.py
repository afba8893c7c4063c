# SPDX-License-Identifier: Apache-2.0
"""YAML text to plain values that remember their lines.

A deliberately small YAML: one document, the core schema of YAML 1.2 (chapter 10.3: only true and false
are booleans, no sexagesimal numbers, no dates, no octal by a leading zero), no aliases, tags or merge
keys, no key twice. What an operator sees in the file is what the model gets.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

Location = tuple[str | int, ...]
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

# Deeper nesting than any field needs; it bounds the recursion below.
MAX_DEPTH = 20
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse the configuration. `location` is empty for the file as a whole."""

    location: Location
    text: str
    line: int | None = None


@dataclass(slots=True)
class Source:
    """A parsed text: its value, and the line (from 1) at which each location starts."""

    file: str
    value: Value = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def find_line(self, location: Location) -> int:
        """The line of a location, or of the nearest thing around it that is in the file."""
        for length in range(len(location), -1, -1):
            line = self.lines.get(location[:length])
            if line is not None:
                return line
        return 1

    def render_problem(self, problem: Problem) -> str:
        """`config.yaml:41: routes[3].match.group: text`."""
        line = problem.line if problem.line is not None else self.find_line(problem.location)
        where = render_location(problem.location)
        return (
            f"{self.file}:{line}: {where}: {problem.text}" if where else f"{self.file}:{line}: {problem.text}"
        )


def render_location(location: Location) -> str:
    """`("routes", 3, "match")` to `routes[3].match`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


# libyaml where the wheel brought it: ten thousand routes in a second instead of ten.
if TYPE_CHECKING:
    from yaml import SafeLoader as _BaseLoader
else:
    _BaseLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreLoader(_BaseLoader):
    """Resolves plain scalars by the core schema instead of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML declares it


def _add_resolver(tag: str, pattern: str, first: str) -> None:
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


_add_resolver("null", "~|null|Null|NULL|", "~nN")
_CoreLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_add_resolver("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_add_resolver("int", r"[-+]?[0-9]{1,18}", "-+0123456789")
_add_resolver("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789.")


def parse_yaml(text: str, file: str) -> Source:
    """Read one YAML document. Never raises for bad input: `problems` says what is wrong."""
    source = Source(file)
    if len(text) > MAX_BYTES:
        source.problems.append(Problem((), f"larger than {MAX_BYTES} bytes; this is no configuration", 1))
        return source
    try:
        source.value = _Reader(source, text).read_document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        problem = f"character {_render_character(error)} is not allowed; remove it"
        source.problems.append(Problem((), problem, line))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.context, error.problem) if part)
        source.problems.append(Problem((), f"not YAML: {reason}", mark.line + 1 if mark else 1))
    except _RefusedError as error:
        source.problems.append(error.problem)
    return source


def _render_character(error: yaml.reader.ReaderError) -> str:
    seen = error.character  # a number from libyaml, a character from the pure reader
    return f"U+{seen if isinstance(seen, int) else ord(seen):04X}"


# Stands for a field's name, and for what a refused field holds, in locations nobody prints.
_KEY = "?"


class _RefusedError(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class _Reader:
    """Builds values from parser events, one pass.

    Not from PyYAML's node tree: composing that recurses in C and ends the process on deep nesting.
    """

    def __init__(self, source: Source, text: str) -> None:
        self._source = source
        self._loader: Any = _CoreLoader(text)  # PyYAML's events have no useful types

    def read_document(self) -> Value:
        self._next()  # stream start
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise _RefusedError(Problem((), "the file is empty; start with `version: 1`", 1))
        value = self._read(self._next(), ())
        self._next()  # document end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise _RefusedError(Problem((), "a second document begins; one is wanted", _line(after)))
        return value

    def _next(self) -> Any:
        return self._loader.get_event()

    def _read(self, event: Any, location: Location) -> Value:
        line = _line(event)
        self._source.lines.setdefault(location, line)
        if len(location) > MAX_DEPTH:
            raise _RefusedError(Problem((), "nested too deeply; no field goes that deep", line))
        if isinstance(event, yaml.AliasEvent):
            return self._refuse(location, "aliases (*name) are not used here; write the value out", line)
        if isinstance(event, yaml.MappingStartEvent):
            return self._read_mapping(location)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._read_sequence(location)
        return self._read_scalar(event, location)

    def _read_sequence(self, location: Location) -> Value:
        values: list[Value] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._read(event, (*location, len(values))))
        return values

    def _read_mapping(self, location: Location) -> Value:
        values: dict[str, Value] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = _line(event)
            key = self._read(event, (*location, _KEY))
            if not isinstance(key, str):
                self._refuse(location, "a field name is not text; write names as in the reference", line)
                self._read(self._next(), (*location, _KEY))
                continue
            where = (*location, key)
            if key in values:
                first = self._source.lines[where]
                self._refuse(where, f"given twice, first in line {first}; keep one", line)
                self._read(self._next(), (*location, _KEY))
                continue
            self._source.lines[where] = line
            values[key] = self._read(self._next(), where)
        return values

    def _read_scalar(self, event: Any, location: Location) -> Value:
        text = str(event.value)
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit)
        convert = _SCALARS.get(tag)
        if convert is None or event.tag not in (None, "!"):
            return self._refuse(location, f"the tag {tag} is not used here; leave it out", _line(event))
        return convert(text)

    def _refuse(self, location: Location, text: str, line: int) -> Value:
        self._source.problems.append(Problem(location, text, line))
        return None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


_SCALARS: dict[str, Callable[[str], Value]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}
