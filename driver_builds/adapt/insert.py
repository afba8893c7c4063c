# SPDX-License-Identifier: Apache-2.0
"""Puts the hooks of a rule into a driver's sources."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from driver_builds.adapt.c_source import (
    Span,
    StructureError,
    find_directive_depth,
    find_first_place,
    find_function,
    find_includes,
    find_statements,
    find_struct,
    get_only,
    hide,
)
from driver_builds.adapt.catalogue import Hook, Rule


@dataclass(frozen=True, slots=True)
class Inserted:
    """A hook as it went in; `line` is its first one in the changed file."""

    name: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Change:
    """What takes the place of `span` in a text; an empty span inserts."""

    span: Span
    text: str


def insert_hooks(rule: Rule, sources: Mapping[str, str]) -> tuple[dict[str, str], list[Inserted]]:
    """The changed texts of `sources` (by file name), and where each hook is.

    Raises StructureError, naming the hooks without exactly one place; then nothing is to be used.
    """
    texts: dict[str, str] = dict(sources)
    inserted: list[Inserted] = []
    problems: list[str] = []
    for hook in rule.hooks:
        if hook.file not in texts:
            problems.append(f"{hook.file}: hook {hook.name!r} has no place: the driver has no such file")
            continue
        try:
            change = find_change(texts[hook.file], hook)
        except StructureError as error:
            problems.append(f"{hook.file}: hook {hook.name!r} has no place: {error}")
            continue
        text = texts[hook.file]
        texts[hook.file] = text[: change.span.start] + change.text + text[change.span.end :]
        inserted.append(Inserted(hook.name, hook.file, text.count("\n", 0, change.span.start) + 1))
    if problems:
        raise StructureError("\n".join(problems))
    return texts, _renumber(rule, texts, inserted)


def find_change(text: str, hook: Hook) -> Change:
    """Where `hook` belongs in `text`, and what stands there then."""
    code = hide(text)
    if hook.struct is not None:
        end = find_struct(code, hook.struct).end
        return Change(Span(end, end), f"\n\n{_indent('', hook)}")
    if hook.where == "includes":
        end = find_includes(text, code)
        return Change(Span(end, end), f"\n\n{_indent('', hook)}")
    body = Span(0, len(code)) if hook.function is None else find_function(code, hook.function)
    change = _find_in_function(text, code, body, hook)
    if find_directive_depth(text, body.start, change.span.start) != 0:
        raise StructureError(f"the place is between #if and #endif of {hook.function or 'the file'}")
    return change


def _find_in_function(text: str, code: str, body: Span, hook: Hook) -> Change:
    match hook.where:
        case "start":
            return _build_line(text, find_first_place(text, code, body), hook)
        case "before":
            return _build_line(text, _find_statement(code, body, hook).start, hook)
        case "condition":
            return _find_condition(code, body, hook)
        case "success":
            return _find_success(text, code, body, hook)
        case _:
            return _find_after(text, code, body, hook)


def _find_statement(code: str, body: Span, hook: Hook) -> Span:
    """The statement that begins with the hook's tokens; at file level, the one that starts a line."""
    words = re.findall(r"\w+|[^\w\s]", str(hook.statement))
    pattern = re.compile(r"\s*".join(map(re.escape, words)) + (r"\b" if words[-1][-1].isalnum() else ""))
    what = f"a statement {hook.statement} in {hook.function or 'the file'}"
    if hook.function is None:
        match = get_only(list(re.finditer(rf"(?m)^{pattern.pattern}", code)), what)
        return Span(match.start(), code.index(";", match.end()) + 1)
    return get_only([span for span in find_statements(code, body) if pattern.match(code, span.start)], what)


def _find_after(text: str, code: str, body: Span, hook: Hook) -> Change:
    span = _find_statement(code, body, hook)
    end = code.find("\n", span.end)
    if end < 0 or code[span.end : end].strip():
        end = span.end
    return Change(Span(end, end), f"\n{_indent(_get_lead(text, span.start), hook)}")


def _find_condition(code: str, body: Span, hook: Hook) -> Change:
    words = re.findall(r"\w+|[^\w\s]", str(hook.condition))
    pattern = re.compile(r"\bif\s*\(\s*" + r"\s*".join(map(re.escape, words)) + r"\s*\)")
    found = list(pattern.finditer(code, body.start, body.end))
    match = get_only(found, f"if ({hook.condition}) in {hook.function}")
    start = code.index("(", match.start())
    return Change(Span(start + 1, match.end() - 1), f"({hook.condition}) && {hook.insert.strip()}")


def _find_success(text: str, code: str, body: Span, hook: Hook) -> Change:
    statements = find_statements(code, body)
    returns = [span for span in statements if re.match(r"return\b", code[span.start : span.end])]
    zero = [span for span in returns if re.fullmatch(r"return\s+0\s*;", code[span.start : span.end])]
    if zero:
        return _build_line(text, get_only(zero, f"return 0; in {hook.function}").start, hook)
    span = get_only(returns, f"a return at the end of {hook.function}")
    if span != statements[-1]:
        raise StructureError(f"{hook.function} does not end with its return")
    value = text[span.start : span.end].removeprefix("return").removesuffix(";").strip()
    lead = _get_lead(text, span.start)
    lines = [
        "{",
        f"\tint netmap_result = {value};",
        "",
        "\tif (netmap_result)",
        "\t\treturn netmap_result;",
        "}",
        *(_mark(hook) + hook.insert).strip("\n").splitlines(),
        "return 0;",
    ]
    return Change(span, "\n".join(lead + line if line else "" for line in lines).lstrip())


def _build_line(text: str, position: int, hook: Hook) -> Change:
    lead = _get_lead(text, position)
    return Change(Span(position, position), f"{_indent(lead, hook).lstrip()}\n{lead}")


def _indent(lead: str, hook: Hook) -> str:
    lines = (_mark(hook) + hook.insert.strip("\n")).splitlines()
    return "\n".join(lead + line if line and not line.startswith("#") else line for line in lines)


def _get_lead(text: str, position: int) -> str:
    """The blanks before the place in its line; those of the next line that has any for an empty one."""
    line = text.rfind("\n", 0, position) + 1
    if text[line:position].strip():
        return ""
    return text[line:position]


def _mark(hook: Hook) -> str:
    return f"/* driver-builds: {hook.name} */\n"


def _renumber(rule: Rule, texts: Mapping[str, str], inserted: list[Inserted]) -> list[Inserted]:
    """The hooks with their lines in the finished texts; a condition has no mark and keeps its line."""
    result = []
    for hook in inserted:
        at = texts[hook.file].find(f"/* driver-builds: {hook.name} */")
        line = hook.line if at < 0 else texts[hook.file].count("\n", 0, at) + 1
        result.append(Inserted(hook.name, hook.file, line))
    return result
