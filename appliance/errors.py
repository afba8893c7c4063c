# SPDX-License-Identifier: Apache-2.0
"""Every exception the appliance raises on purpose, and the exit code each becomes.

A message says what failed, what was seen, what was wanted, and what to do. `appliance.cli.main` prints it
on stderr and exits with the class's `exit_code`; the control API sends both (`appliance.daemon.control`).

The tree::

    ApplianceError                 1  the root: catch this to catch everything below
    ├── UsageError                 2  an argument or option makes no sense
    ├── ConfigError                3  the configuration is refused; `problems` lists every one
    ├── DaemonUnreachable          4  nothing answers on the control socket
    ├── RefusedAsUnsafe            5  possible, but it would harm what runs now
    │   ├── AlreadyRunning         5  another daemon holds this runtime directory
    │   └── RestartNeeded          5  the change restarts a worker and nobody allowed that
    ├── TimedOut                   6  no answer within the time limit
    │   └── NotAcknowledged        6  a worker did not take over a route table in time
    ├── HostError                  1  the host is not as the configuration needs it (interface, driver, MTU)
    ├── WorkerError                1  a worker did not start, or is not there; `worker` names it
    ├── StoreError                 1  the daemon's own files cannot be read or written
    └── FastpathError              1  the native fast path returned an error; `code` is its `enum fp_error`
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What every command of this product exits with; ARCHITECTURE.md and the roles repeat these."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG_REFUSED = 3
    DAEMON_UNREACHABLE = 4
    UNSAFE = 5
    TIMED_OUT = 6
    INTERRUPTED = 130


class ApplianceError(Exception):
    """Root of all errors this package raises on purpose."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    @property
    def message(self) -> str:
        """The whole text for a person; may have several lines."""
        return str(self)


class UsageError(ApplianceError):
    """An argument or option makes no sense."""

    exit_code = ExitCode.USAGE


class ConfigError(ApplianceError):
    """The configuration is refused.

    `problems` holds one line for each, in the order of the file: `config.yaml:41: field: seen; do this`.
    """

    exit_code = ExitCode.CONFIG_REFUSED

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


class DaemonUnreachable(ApplianceError):  # noqa: N818 - says what happened; the root is the Error
    """Nothing answers on the control socket."""

    exit_code = ExitCode.DAEMON_UNREACHABLE


class RefusedAsUnsafe(ApplianceError):  # noqa: N818
    """Possible, but it would harm what runs now."""

    exit_code = ExitCode.UNSAFE


class AlreadyRunning(RefusedAsUnsafe):
    """Another daemon holds this runtime directory."""


class RestartNeeded(RefusedAsUnsafe):
    """The change restarts a worker and nobody allowed that."""


class TimedOut(ApplianceError):  # noqa: N818
    """No answer within the time limit."""

    exit_code = ExitCode.TIMED_OUT


class NotAcknowledged(TimedOut):
    """A worker did not take over a route table in time."""


class HostError(ApplianceError):
    """The host is not as the configuration needs it: interface, driver, link, MTU."""


class WorkerError(ApplianceError):
    """A worker did not start, or is not there. `worker` is its name in the configuration."""

    def __init__(self, worker: str, message: str) -> None:
        self.worker = worker
        super().__init__(message)


class StoreError(ApplianceError):
    """The daemon's own files cannot be read or written."""


class FastpathError(ApplianceError):
    """The native fast path returned an error. `code` is its `enum fp_error` value (negative)."""

    def __init__(self, message: str, code: int = -1) -> None:
        self.code = code
        super().__init__(message)


def build_error(exit_code: int, message: str) -> ApplianceError:
    """The exception for an exit code and message that came from another process (control API, error.json)."""
    classes: dict[int, type[ApplianceError]] = {
        ExitCode.USAGE: UsageError,
        ExitCode.DAEMON_UNREACHABLE: DaemonUnreachable,
        ExitCode.UNSAFE: RefusedAsUnsafe,
        ExitCode.TIMED_OUT: TimedOut,
    }
    if exit_code == ExitCode.CONFIG_REFUSED:
        return ConfigError(message.split("\n"))
    return classes.get(exit_code, ApplianceError)(message)
