# SPDX-License-Identifier: Apache-2.0
"""From the text of a configuration to a checked model, or to every reason why not."""

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from appliance.config.check import find_problems
from appliance.config.messages import render_error
from appliance.config.schema import Config
from appliance.config.yaml_source import Problem, Source, parse_yaml
from appliance.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that passed every check, with the text it came from."""

    config: Config
    text: str
    file: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, 64 hexadecimal digits: tells one configuration from another everywhere."""
        return compute_digest(self.text)


def compute_digest(text: str) -> str:
    """SHA-256 of a configuration's text as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse_config(text: str, file: str) -> Loaded:
    """Check a configuration completely. `file` is only what messages call it.

    Raises ConfigError with all problems: of YAML, else of single fields, else across fields.
    """
    with _pause_collector():
        source = parse_yaml(text, file)
        if source.problems:
            raise _build_error(source, source.problems)
        try:
            config = Config.model_validate(source.value)
        except ValidationError as error:
            raise _build_error(source, [render_error(detail, Config) for detail in error.errors()]) from None
        problems = find_problems(config, source.find_line)
        if problems:
            raise _build_error(source, problems)
        return Loaded(config, text, file)


@contextmanager
def _pause_collector() -> Iterator[None]:
    """10,000 routes are one large tree that stays: looking for garbage in it again and again is a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_config(path: Path) -> Loaded:
    """Read and check a configuration file. Raises UsageError (not readable) and ConfigError (refused)."""
    return parse_config(load_text(path), str(path))


def load_text(path: Path) -> str:
    """The text of a configuration file. Raises UsageError (not readable) and ConfigError (not UTF-8)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; give the path of a configuration"
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ConfigError([f"{path}:{line}: byte {byte:#04x} is not UTF-8; save the file as UTF-8"]) from None


def _build_error(source: Source, problems: list[Problem]) -> ConfigError:
    def line_of(problem: Problem) -> int:
        return problem.line if problem.line is not None else source.find_line(problem.location)

    return ConfigError([source.render_problem(problem) for problem in sorted(problems, key=line_of)])
