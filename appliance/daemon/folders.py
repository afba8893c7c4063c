# SPDX-License-Identifier: Apache-2.0
"""Where the daemon's files are, and the lock that keeps it the only one."""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import AlreadyRunning, ApplianceError, HostError, UsageError

DEFAULT_RUNTIME_DIR = Path("/run/appliance")
DEFAULT_STATE_DIR = Path("/var/lib/appliance")
DEFAULT_CONFIG = Path("/etc/appliance/config.yaml")
RUNTIME_DIR_VARIABLE = "APPLIANCE_RUNTIME_DIR"
STATE_DIR_VARIABLE = "APPLIANCE_STATE_DIR"

# sizeof(sockaddr_un.sun_path) less the NUL, unix(7).
_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True, slots=True)
class Folders:
    """The two folders of one appliance: what lives until the next boot, and what survives it."""

    runtime: Path
    state: Path

    @property
    def socket(self) -> Path:
        """The control API."""
        return self.runtime / "control.sock"

    @property
    def lock(self) -> Path:
        """Locked by the daemon while it lives; holds its pid."""
        return self.runtime / "daemon.lock"


def find_folders(
    runtime_dir: Path | None, state_dir: Path | None, environment: Mapping[str, str] = os.environ
) -> Folders:
    """Folders from the command line, else from the environment, else the defaults."""
    runtime = runtime_dir or Path(environment.get(RUNTIME_DIR_VARIABLE) or DEFAULT_RUNTIME_DIR)
    state = state_dir or Path(environment.get(STATE_DIR_VARIABLE) or DEFAULT_STATE_DIR)
    folders = Folders(runtime.absolute(), state.absolute())
    if len(os.fsencode(folders.socket)) > _SOCKET_PATH_BYTES:
        raise UsageError(
            f"{folders.socket}: {len(os.fsencode(folders.socket))} bytes are too long for a unix socket, "
            f"at most {_SOCKET_PATH_BYTES}; choose a shorter --runtime-dir"
        )
    return folders


class DaemonLock:
    """Held by the one daemon of a runtime directory; the kernel releases it however the process ends."""

    def __init__(self, folders: Folders) -> None:
        """Take the lock. Raises AlreadyRunning, or HostError where the folder cannot be made."""
        try:
            folders.runtime.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._fd = os.open(folders.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise HostError(
                f"{error.filename}: {error.strerror}; run the daemon as root or choose another --runtime-dir"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise _build_refusal(folders) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next daemon in."""
        os.close(self._fd)


def _build_refusal(folders: Folders) -> ApplianceError:
    pid = read_daemon_pid(folders)
    who = f"process {pid}" if pid else "another process"
    return AlreadyRunning(
        f"{folders.runtime}: a daemon is running already ({who} holds {folders.lock.name}); "
        "use `appliance apply` to change its configuration, or stop it first"
    )


def read_daemon_pid(folders: Folders) -> int | None:
    """The pid the last daemon left in its lock file; whether it lives only the lock tells."""
    try:
        return int(folders.lock.read_text())
    except (OSError, ValueError):
        return None
