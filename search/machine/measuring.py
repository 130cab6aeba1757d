"""Measures how fast shares of a machine's cores train: in turn, in short rounds, until they can be
told apart.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from search.machine.division import (
    GPU_THREADS,
    PIECE,
    Measured,
    Room,
    Share,
    best_piece,
    best_threads,
    fewest,
    shares_together,
    thread_counts,
)

# So many processes start first, as PyTorch takes seconds to import; the others start when it is
# known how much room one takes.
AT_ONCE = 2
# Every share is measured in so many rounds.
LOOKS_AT_ALL = 2
# A share that has come to less than this part of the best in each of these rounds is given up.
HOPELESS = 0.7
# A share that may be the best is measured in so many rounds at least.
ROUNDS = 3
# Half of a share's rounds lie within so much of their median, or it is measured again.
SPREAD = 0.05
# A core of many trains no faster than a core alone. The tolerance is for the spread of both, and
# for caches, which hold more of the work where it is shared out; what other programs take from one
# of two shares comes to more.
LINEAR = 1.2
# No further round begins after so much measuring. On a GPU each step to more workers waits for
# processes that start.
ENOUGH_SECONDS, ENOUGH_GPU_SECONDS = 10.0, 15.0
# How many images may go through the network at a time, in batches of as many as the largest, and
# for how long at most.
PIECES, PIECE_BATCH, ENOUGH_PIECE_SECONDS = (PIECE, 128, 256), 256, 6.0
# A worker that looks again gives measuring no longer.
ENOUGH_THREADS_SECONDS = 4.0


@dataclass(frozen=True)
class Steps:
    """How optimizer steps are taken: of how many images, so many of which go through the network at
    a time.
    """

    batch: int
    piece: int


# Shares are measured by these steps.
USUAL_STEPS = Steps(64, PIECE)


class Measuring(Protocol):
    """What measures shares: search.machine.trainers.Trainers."""

    @property
    def device(self) -> str: ...
    def start(self, count: int) -> None: ...
    def images_per_second(self, share: Share, steps: Steps = USUAL_STEPS) -> float | None: ...
    def room(self) -> Room: ...


class NotMeasured(Exception):
    """Nothing could be trained to measure it."""


@dataclass(frozen=True)
class Contradiction:
    """Two shares of which the larger trains more than its cores can, by what the smaller one
    trains.
    """

    smaller: Share
    larger: Share

    def __str__(self) -> str:
        factor = self.larger.cores / self.smaller.cores
        return f"{self.larger} trained more than {factor:g} times what {self.smaller} did"


@dataclass(frozen=True)
class Measurements:
    """What shares have trained: the median of their rounds, or the best one where the medians
    contradict each other.

    Whatever disturbs a round makes it slower: where two shares cannot both be right, each has
    trained what it did in its best round, and the division that is best by these is as good as any
    that can be told.
    """

    table: tuple[Measured, ...]
    contradiction: Contradiction | None = None


def contradictions(table: Iterable[Measured]) -> list[Contradiction]:
    """The shares that train more than linear scaling allows, each with the smaller one that trains
    best for its cores.

    >>> measured = {Share(1, 1): 273.0, Share(1, 2): 1116.0, Share(2, 1): 500.0}
    >>> contradictions(Measured(*each) for each in measured.items())
    [Contradiction(smaller=Share(workers=1, threads=1), larger=Share(workers=1, threads=2))]
    """
    table = list(table)
    found = []
    for larger in table:
        smaller = [each for each in table if each.share.cores < larger.share.cores]
        if smaller and _of_a_core(larger) > LINEAR * _of_a_core(
            best := max(smaller, key=_of_a_core)
        ):
            found.append(Contradiction(best.share, larger.share))
    return found


def _of_a_core(measured: Measured) -> float:
    return measured.images_per_second / measured.share.cores


def spread(rates: Sequence[float]) -> float:
    """How far from their median half of them lie at most, as a share of it.

    >>> spread([100.0, 90.0, 102.0, 101.0, 40.0])
    0.02
    """
    middle = median(rates)
    return median(abs(rate - middle) for rate in rates) / middle


def _has_settled(rates: Sequence[float]) -> bool:
    return len(rates) >= ROUNDS and spread(rates) <= SPREAD


def worth_repeating(table: Iterable[Measured]) -> list[Share]:
    """Those that may still turn out as the best: of one worker, or of all."""
    table = list(table)
    best = max(each.images_per_second for each in table)
    best_alone = max(
        (each.images_per_second for each in table if each.share.workers == 1), default=best
    )
    return [
        each.share
        for each in table
        if each.images_per_second >= HOPELESS * (best_alone if each.share.workers == 1 else best)
    ]


def measure_shares(
    cores: int, measuring: Measuring, monotonic: Callable[[], float] = time.monotonic
) -> Measurements:
    """The shares that may be best, all in turn, round by round: the bad ones twice.

    It is done when those that may be the best have settled and none contradicts another, or when it
    has taken ENOUGH_SECONDS. Raises NotMeasured.
    """
    measuring.start(AT_ONCE)
    rates = _Rates(measuring, monotonic)
    rates.measure([Share(1, 1)])
    if measuring.room().gpus:
        _measure_on_gpu(cores, measuring, rates)
    else:
        _measure_on_processor(cores, measuring, rates)
    return rates.measurements()


def measure_piece(
    threads: int, measuring: Measuring, monotonic: Callable[[], float] = time.monotonic
) -> int:
    """How many images at a time one worker with so many threads trains best by, measured as shares
    are.

    That is the usual number where the process that trains dies.
    """
    rates: dict[int, list[float]] = {piece: [] for piece in PIECES}
    started = monotonic()
    while True:
        for piece in PIECES:
            rate = measuring.images_per_second(Share(1, threads), Steps(PIECE_BATCH, piece))
            if rate is None:
                return PIECE
            rates[piece].append(rate)
        if monotonic() - started >= ENOUGH_PIECE_SECONDS or all(
            _has_settled(of) for of in rates.values()
        ):
            return best_piece({piece: median(of) for piece, of in rates.items()})


def measure_threads(
    counts: Sequence[int], measuring: Measuring, monotonic: Callable[[], float] = time.monotonic
) -> int:
    """With how many of these threads one worker trains best just now, measured as shares are, for a
    few seconds.

    Raises NotMeasured.
    """
    measuring.start(1)
    rates = _Rates(measuring, monotonic)
    due = [Share(1, threads) for threads in counts]
    while due:
        rates.measure(due)
        due = [] if rates.has_taken(ENOUGH_THREADS_SECONDS) else rates.due_of_all()
    return best_threads(rates.measurements().table)


class _Rates:
    # What was measured so far, in how much time.

    def __init__(self, measuring: Measuring, monotonic: Callable[[], float]) -> None:
        self._measuring = measuring
        self._monotonic = monotonic
        self._started = monotonic()
        self._found: dict[Share, list[float]] = {}
        # The processes of these shares did not start, or died.
        self._lost: set[Share] = set()
        # These shares contradicted others at some time.
        self._doubted: set[Share] = set()

    def has_taken(self, seconds: float) -> bool:
        return self._monotonic() - self._started >= seconds

    def measure(self, shares: Iterable[Share]) -> None:
        for share in shares:
            rate = self._measuring.images_per_second(share)
            if rate is None:
                self._lost.add(share)
            else:
                self._found.setdefault(share, []).append(rate)

    def table(self, of: Callable[[list[float]], float] = median) -> tuple[Measured, ...]:
        """Raises NotMeasured where nothing was."""
        if not self._found:
            raise NotMeasured("the processes that measure it do not train")
        return tuple(Measured(share, of(rates)) for share, rates in sorted(self._found.items()))

    def measurements(self) -> Measurements:
        """Raises NotMeasured."""
        found = contradictions(self.table())
        return Measurements(self.table(max), found[0]) if found else Measurements(self.table())

    def unmeasured(self, shares: Iterable[Share]) -> list[Share]:
        """Those that nobody has asked for."""
        return [share for share in shares if share not in self._found and share not in self._lost]

    def due(self, hopeful: Iterable[Share]) -> list[Share]:
        """What the next round measures, where the best is one of the hopeful: none where they are
        known well enough.
        """
        doubtful = {
            share for pair in contradictions(self.table()) for share in (pair.smaller, pair.larger)
        }
        self._doubted |= doubtful
        shares = sorted({*hopeful, *self._doubted} - self._lost)
        if doubtful <= self._lost and all(self._is_settled(share) for share in shares):
            return []
        return shares

    def due_of_all(self) -> list[Share]:
        """The same where any may be the best: all in the first rounds, then those that are near the
        best.
        """
        few = {
            share for share, rates in self._found.items() if len(rates) < LOOKS_AT_ALL
        } - self._lost
        return sorted({*few, *self.due(worth_repeating(self.table(max)))})

    def _is_settled(self, share: Share) -> bool:
        return _has_settled(self._found[share])


def _measure_on_processor(cores: int, measuring: Measuring, rates: _Rates) -> None:
    # How many threads pay for one worker, and so which shares of several there are, may turn out
    # otherwise in a later round.
    alone = [Share(1, threads) for threads in thread_counts(cores)]
    rates.measure(alone[1:])
    room = measuring.room()
    while True:
        due = rates.unmeasured(shares_together(cores, best_threads(rates.table()), room))
        if not due and not rates.has_taken(ENOUGH_SECONDS):
            due = rates.due_of_all()
        if not due:
            return
        measuring.start(max(share.workers for share in due))
        rates.measure(due)


def _measure_on_gpu(cores: int, measuring: Measuring, rates: _Rates) -> None:
    # More and more workers, each number in turn with the one before, until they gain next to
    # nothing: processes take longer to start than to measure.
    before = Share(1, GPU_THREADS)
    for share in shares_together(cores, GPU_THREADS, measuring.room()):
        if rates.has_taken(ENOUGH_GPU_SECONDS):
            return
        measuring.start(share.workers)
        rates.measure([before, share])
        while not rates.has_taken(ENOUGH_GPU_SECONDS) and (due := rates.due([before, share])):
            rates.measure(due)
        if fewest(each for each in rates.table() if each.share in (before, share)) == before:
            return
        before = share
