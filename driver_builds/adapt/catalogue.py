# SPDX-License-Identifier: Apache-2.0
"""The rules of `adapt/rules/` as values, each with the hash of all it consists of."""

import hashlib
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from driver_builds.errors import ConfigError

Where = Literal["after", "before", "start", "success", "condition", "includes"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hook(_Strict):
    """One thing a rule puts into a source; `rules/README.md` says what the fields mean."""

    name: str
    file: str
    struct: str | None = None
    function: str | None = None
    where: Where
    statement: str | None = None
    condition: str | None = None
    insert: str

    @model_validator(mode="after")
    def _check_place(self) -> "Hook":
        if self.struct is not None and self.function is not None:
            raise ValueError("give struct or function, one of them")
        if self.struct is not None and self.where != "after":
            raise ValueError("a struct has only the place `after`")
        if self.function is None and self.where in {"start", "success", "condition", "before"}:
            raise ValueError(f"`{self.where}` is a place in a function")
        by_statement = self.where in {"after", "before"} and self.struct is None
        if (self.statement is not None) != by_statement:
            raise ValueError("`statement` belongs to `after` and `before`, and must be there")
        if (self.condition is not None) != (self.where == "condition"):
            raise ValueError("`condition` belongs to `where = condition`, and must be there")
        return self


class Rule(_Strict):
    """All hooks of one driver. `header` is C of ours that the hooks call; `sha256` covers rule and header."""

    name: str = Field(pattern="^[a-z0-9_-]+$")
    driver: str = Field(pattern="^[a-z0-9_]+$")
    why: str
    hooks: tuple[Hook, ...] = Field(min_length=1)
    header: str | None = None
    header_text: str = ""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


@cache
def load_rules() -> dict[str, Rule]:
    """The rules by driver name."""
    folder = files("driver_builds") / "adapt" / "rules"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    rules = {}
    for name in names:
        text = (folder / name).read_text("utf-8")
        try:
            fields = tomllib.loads(text)
            header = fields.get("header")
            header_text = (folder / str(header)).read_text("utf-8") if header else ""
            rule = parse_rule(text, header_text)
        except (tomllib.TOMLDecodeError, ValidationError, OSError) as error:
            raise ConfigError(f"driver_builds/adapt/rules/{name}: {error}") from error
        rules[rule.driver] = rule
    return rules


def parse_rule(text: str, header_text: str = "") -> Rule:
    """The rule a TOML text says; raises TOMLDecodeError or ValidationError."""
    fields: dict[str, Any] = tomllib.loads(text)
    fields["hooks"] = tuple(fields.pop("hook", ()))
    fields["header_text"] = header_text
    fields["sha256"] = hashlib.sha256("\0".join((text, header_text)).encode()).hexdigest()
    return Rule.model_validate(fields, strict=False)
