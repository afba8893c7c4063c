# SPDX-License-Identifier: Apache-2.0
"""Ownership of C objects: closed once, in the right order, and never used afterwards.

A worker uses a state segment and ports, a port uses a region; C leaves the order of their ends to the
caller. Here each object knows its users and closes them first, last opened first, so that every order
of `close`, every nesting of `with` and a close from another thread is safe.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from appliance.fastpath.errors import ClosedError


class Handle:
    """A C object of this process. `needs` are the objects it points to: they outlive it.

    Construct a user inside `with other.use()` of what it needs, so that nobody closes that in between.
    """

    def __init__(self, what: str, pointer: Any, destroy: Callable[[Any], None], *needs: "Handle") -> None:
        self._what = what
        self._pointer: Any = pointer
        self._destroy = destroy
        self._guard = threading.Lock()  # held while C uses the object: nobody frees it under a call
        self._needs: list[Handle] = []
        self._users: list[Handle] = []
        for other in needs:
            self._depend_on(other)

    def _depend_on(self, other: "Handle") -> None:
        self._needs.append(other)
        other._users.append(self)

    def _acquire(self) -> None:
        """Take the guard. A C call that may take long overrides this to refuse instead of waiting."""
        self._guard.acquire()

    @contextmanager
    def use(self) -> Iterator[Any]:
        """The C pointer, kept alive inside the block. ClosedError where it is closed."""
        self._acquire()
        try:
            if self._pointer is None:
                raise ClosedError(f"{self._what} is closed; open it again before using it")
            yield self._pointer
        finally:
            self._guard.release()

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        """Close the users, then the object. A second call does nothing.

        ClosedError where a loop that uses it is running; then nothing that loop needs was closed.
        """
        while not self._destroy_unused():
            for user in reversed(tuple(self._users)):
                user.close()
        while self._needs:
            self._needs.pop()._users.remove(self)

    def _destroy_unused(self) -> bool:
        """Free the C object unless something points to it; True where it is gone."""
        self._acquire()
        try:
            if self._pointer is not None and not self._users:
                pointer, self._pointer = self._pointer, None
                self._destroy(pointer)
            return self._pointer is None
        finally:
            self._guard.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._what}{' (closed)' if self.closed else ''}>"
