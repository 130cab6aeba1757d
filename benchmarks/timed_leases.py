"""How long the leases of a worker take: acquire, from there to the configuration, finish."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec, TypeVar
from unittest.mock import patch

from storage.leases.taking import TrialLeases

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class LeaseSeconds:
    """The seconds of each acquire that took a trial, of reading and sampling between that and the
    record of the parameters, and of each finish.

    >>> seconds = LeaseSeconds.noted_of(leases)     # doctest: +SKIP
    >>> leases.finish(leases.acquire(stored), "complete", value=0.98)    # doctest: +SKIP
    >>> seconds.finish     # doctest: +SKIP
    [0.004]
    """

    acquire: list[float] = field(default_factory=list)
    suggest: list[float] = field(default_factory=list)
    finish: list[float] = field(default_factory=list)

    @classmethod
    def noted_of(cls, leases: TrialLeases) -> "LeaseSeconds":
        """The seconds of these leases from now on: their methods are replaced."""
        found, taken_at = cls(), 0.0

        def timed(method: Callable[P, R], seconds: list[float]) -> Callable[P, R]:
            @wraps(method)
            def call(*args: P.args, **options: P.kwargs) -> R:
                nonlocal taken_at
                started = time.perf_counter()
                result = method(*args, **options)
                taken_at = time.perf_counter()
                seconds.append(taken_at - started)
                return result

            return call

        def after_acquire(method: Callable[P, R]) -> Callable[P, R]:
            @wraps(method)
            def call(*args: P.args, **options: P.kwargs) -> R:
                found.suggest.append(time.perf_counter() - taken_at)
                return method(*args, **options)

            return call

        patch.multiple(
            leases,
            acquire=timed(leases.acquire, found.acquire),
            record_parameters=after_acquire(leases.record_parameters),
            finish=timed(leases.finish, found.finish),
        ).start()
        return found
