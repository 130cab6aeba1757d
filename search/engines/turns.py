"""One run at a time in a process: what it changes there, and what it draws from, is no thread's
own.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class RunInsideRun(RuntimeError):
    """A run was begun inside another one."""

    def __init__(self) -> None:
        super().__init__(
            "hypersearch.run was called inside another one in the same thread: call it when that"
            " returns"
        )


class Turns:
    """Threads that take turns; one that must wait is told so, and Ctrl-C ends its waiting.

    >>> turns = Turns()
    >>> with turns.taken(on_wait=lambda: print("waiting")):
    ...     print("alone")
    alone
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The thread is the one whose turn it is.
        self._thread: int | None = None

    @contextmanager
    def taken(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Inside, no other thread is. Raises RunInsideRun where this one is already."""
        if self._thread == threading.get_ident():
            raise RunInsideRun
        if self._lock.locked():
            on_wait()
        with self._lock:
            self._thread = threading.get_ident()
            try:
                yield
            finally:
                self._thread = None
