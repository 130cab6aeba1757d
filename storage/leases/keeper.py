"""Keeps the lease of the trial that a worker trains, as long as its training moves."""

import logging
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Self

from storage.database_errors import is_passing, reason
from storage.errors import LeaseLost
from storage.leases.lease import Lease
from storage.leases.taking import TrialLeases

log = logging.getLogger(__name__)


class Keeper:
    """A thread that gives a worker's signs of life, and looks out for the leases of the dead.

    Training calls `moved` at every step. A lease whose training has not moved for max(times.hung,
    times.hung_epochs median epochs) is given up, unless it may wait for a database that is away;
    `moved` raises as soon as the lease is lost.

    >>> with Keeper(leases) as keeper:             # doctest: +SKIP
    ...     keeper.hold(lease)
    ...     for measurement in train(..., pulse=keeper.moved):
    ...         keeper.epoch_took(measurement.seconds)
    """

    def __init__(
        self, leases: TrialLeases, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._leases = leases
        self._monotonic = monotonic
        self._held: Lease | None = None
        self._lost = False
        self._moved_at = monotonic()
        self._epoch_seconds: list[float] = []
        self._lock = threading.Lock()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join(timeout=self._leases.times.renewal)

    def hold(self, held: Lease) -> None:
        """From now on that trial is kept."""
        with self._lock:
            self._held, self._lost, self._moved_at = held, False, self._monotonic()

    def release(self) -> None:
        """The trial is no longer this worker's to keep."""
        with self._lock:
            self._held = None

    def moved(self) -> None:
        """Training has made a step.

        Raises:
            LeaseLost: the trial is not this worker's any more; training on is of no use.
        """
        self._moved_at = self._monotonic()
        if self._lost and self._held is not None:
            raise LeaseLost(self._held.trial_id)

    def epoch_took(self, seconds: float) -> None:
        """What an epoch of the study takes, which tells slow training from hung."""
        self._epoch_seconds = [*self._epoch_seconds[-99:], seconds]

    @property
    def hung_after_seconds(self) -> float:
        """So long without a step is hung."""
        times = self._leases.times
        return max(times.hung, times.hung_epochs * median(self._epoch_seconds or [0.0]))

    def _keep(self) -> None:
        times = self._leases.times
        next_beat = 0.0
        while True:
            wait = times.renewal / 3
            try:
                if self._monotonic() >= next_beat:
                    self._beat()
                    next_beat = self._monotonic() + times.renewal
                self._leases.note_expired_leases()
            # Whatever the error was, a worker whose thread is gone would lose its trials.
            except Exception as error:
                if is_passing(error):
                    # Training may wait for the database as this does: it is not hung.
                    self._moved_at = self._monotonic()
                else:
                    log.warning(
                        "a sign of life failed: %s: %s", type(error).__name__, reason(error)
                    )
                wait = min(wait, 1.0)
            if self._leave.wait(wait):
                break
        try:
            self._leases.leave()
        except Exception as error:
            log.debug("the worker's row stays until it expires: %s", reason(error))

    def _beat(self) -> None:
        with self._lock:
            held, stands = self._held, self._monotonic() - self._moved_at
        if held is not None and stands > self.hung_after_seconds:
            self._leases.hand_back(held, "lost", f"hung: no step of training for {stands:.0f} s")
            self._give_up(held)
            held = None
        if not self._leases.beat(held) and held is not None:
            self._give_up(held)

    def _give_up(self, held: Lease) -> None:
        with self._lock:
            # A trial that is not held any more has just been finished.
            if self._held == held:
                self._lost = True
