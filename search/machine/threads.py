"""How many threads a worker's next trial has: fewer while other programs take its cores, more when
they stop.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from search.machine.division import thread_counts
from search.machine.measuring import Measuring, NotMeasured, measure_threads
from search.machine.other_programs import OtherPrograms
from search.machine.trainers import Trainers

# Other programs use so much of the cores that threads would compute on, at most: above it threads
# may wait for each other.
TAKEN = 0.25
# A worker looks for so long before its first trial.
START_SECONDS = 0.3
# So much training tells what other programs use; shorter trials are taken together.
LEAST_SECONDS = 5.0
# Two looks, each of which costs a few seconds, are so far apart.
APART_SECONDS = 300.0


class FittingThreads:
    """The threads of one worker's trials, where nobody has said how many; `workers` share the cores
    with it alike.

    What other programs use is counted while trials train, which costs two readings of the system's
    clocks each. When that gives reason to, between two trials, one process measures again what
    trains best beside them. Nothing of it is kept: `most` is what the machine trains best with when
    it is quiet, or all its cores where that is not known. A worker whose threads were not measured
    just now `looks_first`, for a moment before its first trial.

    >>> threads = FittingThreads(2, most=2, cores=2, say=print)
    >>> with threads.trial():                                                # doctest: +SKIP
    ...     train()
    >>> threads.for_next_trial()                                             # doctest: +SKIP
    other programs use 64 % of the processor: this worker goes on with 1 thread (was: 2)
    1
    """

    def __init__(
        self,
        threads: int,
        *,
        most: int,
        cores: int,
        workers: int = 1,
        looks_first: bool = False,
        say: Callable[[str], None],
        others: Callable[[], OtherPrograms] = OtherPrograms,
        open_measuring: Callable[[], AbstractContextManager[Measuring]] = lambda: Trainers("cpu"),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._threads = threads
        self._counts = sorted({most, *(count for count in thread_counts(cores) if count < most)})
        self._cores = cores
        self._workers = workers
        self._say = say
        self._new_others = others
        self._others = others()
        self._open_measuring = open_measuring
        self._monotonic = monotonic
        self._sleep = sleep
        self._looks_first = looks_first
        # The clock's time of the last look is None before the first.
        self._looked: float | None = None

    def trial(self) -> AbstractContextManager[None]:
        """Inside, a trial trains, and what other programs use counts."""
        return self._others.counted()

    def for_next_trial(self) -> int:
        """How many threads it trains with; measured again where there is reason to, and not too
        often.
        """
        if self._counts == [self._threads]:
            return self._threads
        least_seconds = LEAST_SECONDS
        if self._looks_first:
            self._looks_first, least_seconds = False, 0.0
            with self._others.counted():
                self._sleep(START_SECONDS)
        if self._others.core_seconds < least_seconds * self._cores:
            return self._threads
        percent = self._others.percent
        self._others = self._new_others()
        now = self._monotonic()
        if self._may_be_better(percent) and (
            self._looked is None or now - self._looked >= APART_SECONDS
        ):
            self._look(percent)
            self._looked = self._monotonic()
        return self._threads

    def _may_be_better(self, percent: float) -> bool:
        # Fewer threads, where these have not enough cores to themselves; more, where more would.
        free = self._cores * (1 - percent / 100) / self._workers
        fewer = self._threads > 1 and not self._has_room(self._threads, free)
        more = [count for count in self._counts if count > self._threads]
        return fewer or bool(more and self._has_room(more[0], free))

    def _has_room(self, threads: int, free_cores: float) -> bool:
        return free_cores >= threads * (1 - TAKEN)

    def _look(self, percent: float) -> None:
        before = self._threads
        try:
            with self._open_measuring() as measuring:
                self._threads = measure_threads(self._counts, measuring, self._monotonic)
        # The threads stay as they are where nothing could be measured.
        except NotMeasured:
            return
        if self._threads != before:
            noun = "thread" if self._threads == 1 else "threads"
            self._say(
                f"other programs use {percent:.0f} % of the processor: this worker goes on with"
                f" {self._threads} {noun} (was: {before})"
            )
