# SPDX-License-Identifier: Apache-2.0
"""Every exception driver builds raise on purpose, and the exit code each becomes.

The tree::

    DriverBuildError            1  the root: catch this to catch everything below
    ├── UsageError              2  an argument or option makes no sense
    ├── ConfigError             3  a data file of this package is refused
    ├── RefusedAsUnsafe         5  not what was pinned: another netmap tree, a changed byte in an archive
    ├── ModuleFileError         1  a file is not a kernel module that can be read
    ├── DiskFullError           1  no space left where a build writes; nothing is recorded of it
    ├── ArtifactError           1  manifest and files of an artifacts directory disagree
    └── StageError              1  a stage of a build failed; names stage, subject, lines and log
"""

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """The product's exit codes; a contract test compares them with the appliance's."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG_REFUSED = 3
    DAEMON_UNREACHABLE = 4
    UNSAFE = 5
    TIMED_OUT = 6
    INTERRUPTED = 130


class DriverBuildError(Exception):
    """Root of all errors this package raises on purpose."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def describe(self) -> dict[str, Any]:
        """What `--json` prints under `error`."""
        return {"code": int(self.exit_code), "message": str(self)}


class UsageError(DriverBuildError):
    """An argument or option makes no sense."""

    exit_code = ExitCode.USAGE


class ConfigError(DriverBuildError):
    """A data file of this package is refused."""

    exit_code = ExitCode.CONFIG_REFUSED


class RefusedAsUnsafe(DriverBuildError):  # noqa: N818 - says what happened; the root is the Error
    """Not what was pinned: another netmap tree, a changed byte in an archive."""

    exit_code = ExitCode.UNSAFE


class ModuleFileError(DriverBuildError):
    """A file is not a kernel module that can be read."""


class DiskFullError(DriverBuildError):
    """No space is left where a build writes.

    Says nothing of the driver that happened to be compiled, so the whole build ends and nothing is recorded.
    """


class ArtifactError(DriverBuildError):
    """Manifest and files of an artifacts directory disagree, or cannot be read."""


class StageError(DriverBuildError):
    """A stage of a build failed.

    `stage` and `subject` say where ("patch", "e1000"), `lines` are the at most ten log lines that matter, and
    `log` is the full log, or None when no command had run yet.
    """

    def __init__(
        self, stage: str, subject: str, reason: str, lines: Sequence[str] = (), log: Path | None = None
    ) -> None:
        self.stage = stage
        self.subject = subject
        self.reason = reason
        self.lines = tuple(lines)
        self.log = log
        super().__init__(self._text())

    def _text(self) -> str:
        text = [f"{self.stage} {self.subject}: {self.reason}"]
        text += [f"    {line}" for line in self.lines]
        if self.log is not None:
            text.append(f"full log: {self.log}")
        return "\n".join(text)

    def describe(self) -> dict[str, Any]:
        log = None if self.log is None else str(self.log)
        return {
            "code": int(self.exit_code),
            "message": f"{self.stage} {self.subject}: {self.reason}",
            "stage": self.stage,
            "subject": self.subject,
            "lines": list(self.lines),
            "log": log,
        }
