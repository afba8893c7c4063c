# SPDX-License-Identifier: Apache-2.0
"""Whether the process that wrote a state segment is still the one that runs under its pid."""

from pathlib import Path

# proc_pid_stat(5): state is field 3, starttime field 22; the fields are counted after the last ')', which
# ends field 2 (a command name may hold spaces and brackets).
_FIRST_FIELD = 3
_STATE_FIELD = 3
_START_FIELD = 22
_GONE = frozenset("ZXx")


def read_start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat, in clock ticks since boot; None where no such process lives."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 1 :].split()
    if fields[_STATE_FIELD - _FIRST_FIELD] in _GONE:
        return None
    return int(fields[_START_FIELD - _FIRST_FIELD])


def is_alive(pid: int, pid_start_ticks: int) -> bool:
    """Whether `pid` lives and is the process that started at `pid_start_ticks`."""
    return pid > 0 and read_start_ticks(pid) == pid_start_ticks
