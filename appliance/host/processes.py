# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive their parent: started in a session of their own, watched by pidfd."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import HostError


@dataclass(frozen=True, slots=True)
class Process:
    """A process held by its pidfd, which never comes to mean another one (pidfd_open(2)).

    `child` tells whether this process must reap it.
    """

    pid: int
    pidfd: int
    child: bool

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens where it has ended."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def reap(self) -> int | None:
        """Release an ended process. Returns its exit status, negative for a signal; None for no child."""
        try:
            if not self.child:
                return None
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
            if result is None:
                return None
            return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
        except ChildProcessError:
            return None
        finally:
            os.close(self.pidfd)

    def release(self) -> None:
        """Stop watching without ending it."""
        os.close(self.pidfd)


def start_detached(
    argv: Sequence[str], environment: Mapping[str, str], log: Path, inherited_fds: Sequence[int] = ()
) -> Process:
    """Start a program that goes on when this process dies: own session, output to `log`, no standard input.

    `inherited_fds` stay open in it. Raises HostError where it cannot be started.
    """
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
                pass_fds=tuple(inherited_fds),
            )
    except OSError as error:
        raise HostError(f"{argv[0]}: cannot be started: {error.strerror}") from error
    process = Process(child.pid, os.pidfd_open(child.pid), child=True)
    # The pidfd is what we wait on; without this subprocess would complain that nobody did.
    child.returncode = 0
    return process


def find_process(pid: int) -> Process | None:
    """Hold a process somebody else started; None where there is none. Check its start time afterwards."""
    try:
        return Process(pid, os.pidfd_open(pid), child=False)
    except OSError:
        return None
