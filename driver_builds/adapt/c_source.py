# SPDX-License-Identifier: Apache-2.0
"""The structure of a C source file, as far as rules need it: functions, structures, statements."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from driver_builds.errors import DriverBuildError

_T = TypeVar("_T")
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_HIDDEN = re.compile(
    r"/\*.*?\*/|//[^\n]*"  # comments
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"  # strings and characters
    r"|^[ \t]*#(?:[^\n\\]|\\.)*",  # preprocessor lines with their continuations
    re.DOTALL | re.MULTILINE,
)
_FLOW = re.compile(r"\b(?:return|goto|break|continue|if|for|while|do|switch|case|default|else|asm)\b")
_DECLARATION = re.compile(
    r"(?:(?:static|const|volatile|register|unsigned|signed|long|short)\s+)*"
    r"(?:(?:struct|union|enum)\s+)?[A-Za-z_]\w*(?:\s*\*+\s*(?:const\s+)?|\s+\*+|\s+)[A-Za-z_]\w*\s*[\[=;,_(]"
)
_DECLARING_MACRO = re.compile(r"(?:DECLARE|DEFINE)_\w+\s*\(|LIST_HEAD\s*\(")


class StructureError(DriverBuildError):
    """The source has not the one place a rule asks for."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to before `end` of a text."""

    start: int
    end: int


def hide(text: str) -> str:
    """`text` with comments, strings and preprocessor lines turned into blanks; every offset stays what it was."""
    return _HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def find_struct(code: str, name: str) -> Span:
    """The definition of `struct name` at file level, with its semicolon; `code` is hidden text."""
    found = list(re.finditer(rf"(?m)^struct\s+{re.escape(name)}\s*\{{", code))
    start = get_only(found, f"definition of struct {name}").start()
    end = _find_closing(code, code.index("{", start))
    return Span(start, code.index(";", end) + 1)


def find_function(code: str, name: str) -> Span:
    """What stands between the braces of the function `name`."""
    bodies = []
    for match in re.finditer(rf"(?m)^[A-Za-z_][^;{{}}()=]*\b{re.escape(name)}\s*\(", code):
        after = _find_closing(code, match.end() - 1)
        # Between the parameters and the body only attributes like __releases(lock) may stand.
        body = re.compile(r"(?:\s|\b__\w+(?:\([^()]*\))?)*\{").match(code, after)
        if body:
            bodies.append(Span(body.end(), _find_closing(code, body.end() - 1) - 1))
    return get_only(bodies, f"definition of function {name}")


def find_statements(code: str, body: Span) -> list[Span]:
    """The statements and declarations directly in a body, in their order; labels are no statements."""
    return list(_walk(code, body))


def find_first_place(text: str, code: str, body: Span) -> int:
    """The start of the first line of statements in a body: behind its declarations, outside #if."""
    last = body.start
    first = None
    for span in find_statements(code, body):
        if not is_declaration(code, span):
            first = span.start
            break
        last = span.end
    if first is None:
        raise StructureError("the function has no statement")
    for match in re.compile(r"\n[ \t]*(?=[^\s])").finditer(text, last, first + 1):
        if find_directive_depth(text, body.start, match.end()) == 0:
            return match.end()
    return first


def find_directive_depth(text: str, start: int, end: int) -> int:
    """How many #if between two places are still open at the second."""
    found = re.compile(r"(?m)^[ \t]*#[ \t]*(if|endif)").findall(text, start, end)
    return found.count("if") - found.count("endif")


def find_includes(text: str, code: str) -> int:
    """The end of the last #include before the first function or structure, outside #if."""
    brace = code.find("{")
    lines = re.compile(r"(?m)^#[ \t]*include\b[^\n]*").finditer(text, 0, brace if brace >= 0 else len(text))
    ends = [match.end() for match in lines if find_directive_depth(text, 0, match.start()) == 0]
    if not ends:
        raise StructureError("the file includes nothing")
    return ends[-1]


def is_declaration(code: str, statement: Span) -> bool:
    text = code[statement.start : statement.end]
    if _FLOW.match(text):
        return False
    return bool(_DECLARATION.match(text) or _DECLARING_MACRO.match(text))


def _walk(code: str, body: Span) -> Iterator[Span]:
    position = body.start
    while True:
        position = _skip(code, position)
        if position >= body.end:
            return
        end = _find_end(code, position)
        yield Span(position, end)
        position = end


def _skip(code: str, position: int) -> int:
    """The next character that is neither blank nor part of a label."""
    match = re.compile(r"(?:\s+|(?!default\b)[A-Za-z_]\w*\s*:(?!:))*").match(code, position)
    return match.end() if match else position


def _find_end(code: str, start: int) -> int:
    """The end of the statement that starts at `start`."""
    if code[start] == "{":
        return _find_closing(code, start)
    word = re.compile(r"[A-Za-z_]\w*").match(code, start)
    match word[0] if word else "":
        case "if":
            end = _find_body_end(code, start)
            other = re.compile(r"\s*else\b\s*").match(code, end)
            return _find_end(code, _skip(code, other.end())) if other else end
        case "for" | "while" | "switch":
            return _find_body_end(code, start)
        case "do":
            end = _find_end(code, _skip(code, start + 2))
            return _find_semicolon(code, end)
        case _:
            # list_for_each_entry(...) { } and the like: a macro that opens a loop.
            loop = re.compile(r"\w*for_each\w*\s*\(").match(code, start)
            return _find_body_end(code, start) if loop else _find_semicolon(code, start)


def _find_body_end(code: str, start: int) -> int:
    condition = _find_closing(code, code.index("(", start))
    return _find_end(code, _skip(code, condition))


def _find_semicolon(code: str, position: int) -> int:
    while code[position] != ";":
        position = _find_closing(code, position) if code[position] in _CLOSING else position + 1
    return position + 1


def _find_closing(code: str, opening: int) -> int:
    """The offset after the bracket that closes the one at `opening`."""
    depth, kind = 0, code[opening]
    for match in re.compile(rf"[{re.escape(kind + _CLOSING[kind])}]").finditer(code, opening):
        depth += 1 if match[0] == kind else -1
        if depth == 0:
            return match.end()
    raise StructureError(f"a {kind} in line {code.count(chr(10), 0, opening) + 1} is never closed")


def get_only(found: list[_T], what: str) -> _T:
    if len(found) != 1:
        raise StructureError(f"the source has {len(found)} places like this, wanted one: {what}")
    return found[0]
