"""Which leases give no sign of life: what one process sees of the others."""

import threading
import time
from collections.abc import Callable, Iterable

from sqlalchemy import Row

from storage.leases.lease import LeaseTimes


class Watch:
    """Which leases have given no sign of life while this process looked on, by its own monotonic
    clock.

    >>> watch.see(rows)          # doctest: +SKIP
    >>> watch.is_silent(row)     # seen unchanged for times.watch seconds of unbroken contact
    """

    def __init__(self, times: LeaseTimes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._watch_seconds = times.watch
        self._monotonic = monotonic
        self._last_look: float | None = None
        self._since: dict[tuple[int, int, int], float] = {}
        self._lock = threading.Lock()

    def see(self, expired: Iterable[Row[tuple[object, ...]]]) -> None:
        """All leases that have expired, as read just now. After half a watch without a look all is
        seen anew.
        """
        with self._lock:
            now = self._monotonic()
            unbroken = (
                self._last_look is not None and now - self._last_look <= self._watch_seconds / 2
            )
            before = self._since if unbroken else {}
            self._since = {key: before.get(key, now) for key in map(_sign_of_life, expired)}
            self._last_look = now

    def is_silent(self, row: Row[tuple[object, ...]]) -> bool:
        """Whether the lease has stood as it is for the whole watch."""
        with self._lock:
            now, since = self._monotonic(), self._since.get(_sign_of_life(row))
            looks = self._last_look is not None and now - self._last_look <= self._watch_seconds / 2
            return looks and since is not None and now - since >= self._watch_seconds


def _sign_of_life(row: Row[tuple[object, ...]]) -> tuple[int, int, int]:
    return row.trial_id, row.attempt, row.beat_ms
