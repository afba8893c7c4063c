# SPDX-License-Identifier: Apache-2.0
"""One number of compilers for all makes that run at once, whatever their number: GNU make's jobserver.

A token in a pipe is the right to run one program. Each chain of steps holds one while it runs, and the makes it
starts take more as long as there are some: many chains share the cores, the last one gets them all. The
protocol: GNU make manual, "POSIX Jobserver Interaction".
"""

import contextlib
import os
import select
from collections.abc import Iterator

_TOKEN = b"+"


class Jobserver:
    """`jobs` tokens; close it when the makes have ended."""

    def __init__(self, jobs: int) -> None:
        self._read, self._write = os.pipe()
        # make reads the same way: whoever is told of a token may find it taken by another.
        os.set_blocking(self._read, False)
        os.write(self._write, _TOKEN * jobs)

    @property
    def descriptors(self) -> tuple[int, int]:
        """What a make must inherit."""
        return self._read, self._write

    @property
    def makeflags(self) -> str:
        """MAKEFLAGS of a make that takes part."""
        return f" -j --jobserver-auth={self._read},{self._write}"

    @contextlib.contextmanager
    def token(self) -> Iterator[None]:
        """Holds one token; waits until there is one."""
        taken = self._take()
        try:
            yield
        finally:
            os.write(self._write, taken)

    def _take(self) -> bytes:
        while True:
            select.select([self._read], [], [])
            with contextlib.suppress(BlockingIOError):
                return os.read(self._read, 1)

    def close(self) -> None:
        """Gives the pipe back."""
        os.close(self._read)
        os.close(self._write)
