# SPDX-License-Identifier: Apache-2.0
"""Changes of kernel interfaces netmap does not know yet, each with a probe and a few lines of C that bridge it."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from driver_builds.errors import ConfigError

_MARK = "/* driver-builds: compat {} */"


class Compat(BaseModel):
    """One change: from kernel `since` on, where the kernel's `header` has no word `lacks`, `text` is compiled in.

    Or where it has the word `has`; one of the two is given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z0-9-]+$")
    since: tuple[int, int, int]
    header: str = Field(pattern="^include/[a-z0-9_/]+\\.h$")
    lacks: str | None = Field(default=None, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    has: str | None = Field(default=None, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    why: str
    text: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


@cache
def load_compat() -> tuple[Compat, ...]:
    """The changes of `compat/compat.toml`, each with the text of `NAME.h`."""
    folder = files("driver_builds") / "compat"
    try:
        entries = tomllib.loads((folder / "compat.toml").read_text("utf-8"))["compat"]
        return tuple(
            parse_compat(entry, (folder / f"{entry['name']}.h").read_text("utf-8")) for entry in entries
        )
    except (tomllib.TOMLDecodeError, KeyError, OSError, ValidationError) as error:
        raise ConfigError(f"driver_builds/compat/compat.toml: {error}") from error


def parse_compat(entry: dict[str, object], text: str) -> Compat:
    """One entry of the file with its header's text; its hash is of what is compiled in."""
    added = _render_text(str(entry["name"]), text)
    return Compat.model_validate(
        {**entry, "text": text, "sha256": hashlib.sha256(added.encode()).hexdigest()}
    )


def select_compat(known: Iterable[Compat], version: tuple[int, int, int]) -> tuple[Compat, ...]:
    """Those that kernel `version` may need; its headers say whether it does."""
    return tuple(entry for entry in known if entry.since <= version)


def is_needed(entry: Compat, header: str) -> bool:
    """Whether the text of the kernel's header lacks the word, or has it; comments do not count."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header, flags=re.DOTALL)
    found = re.search(rf"\b{entry.lacks or entry.has}\b", code) is not None
    return found if entry.lacks is None else not found


def find_header(entry: Compat, folders: Iterable[Path]) -> Path | None:
    """The kernel's header below one of `folders`; None when it is gone, which is another change."""
    return next((path for folder in folders if (path := folder / entry.header).is_file()), None)


def render_compat(entries: Iterable[Compat]) -> str:
    """What is added to the header all of netmap's sources include."""
    return "".join(_render_text(entry.name, entry.text) for entry in entries)


def _render_text(name: str, text: str) -> str:
    # File and line of its own: FORTIFY_SOURCE compiles both into the module, and how many lines netmap's probes wrote
    # above depends on which drivers they looked at.
    return f'\n{_MARK.format(name)}\n#line 1 "compat/{name}.h"\n{text}'


def parse_names(header: str) -> tuple[str, ...]:
    """The names of the changes a header written by `render_compat` bridges."""
    return tuple(re.findall(_MARK.format("([a-z0-9-]+)").replace("*", r"\*"), header))
