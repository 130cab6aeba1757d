"""How far a study is, counted from what happens, and what is said of a trial that has ended."""

import time
from collections.abc import Callable

from search.report.trainings import Standings, outcome_of, purpose_of
from search.report.values import brief
from search.spec.durations import duration
from search.worker.events import (
    FollowUpTraining,
    Running,
    StudyOpened,
    TrialFinished,
    TrialStarted,
)
from storage.direction import Direction


class Tally:
    """What has happened so far: counted from events, starting where the study stood."""

    def __init__(
        self,
        finished: int,
        budget: int,
        best: float | None,
        direction: Direction,
        clock: Callable[[], float],
        standings: Standings | None = None,
    ):
        self.finished = finished
        self.budget = budget
        self.best = best
        self.best_number: int | None = None
        # The standings are those of a follow-up; None: it is a search, which has a best trial
        # instead.
        self.standings = standings
        self._direction = direction
        self._clock = clock
        self._started = clock()
        self._finished_before = finished

    def add(self, event: TrialFinished) -> None:
        """Counts a finished trial."""
        if event.outcome in ("complete", "pruned"):
            self.finished += 1
            if self.standings is not None and event.training is not None:
                self.standings.add(event.training, event.value)
        if event.outcome != "complete" or event.value is None:
            return
        if self.best is None or self._direction.is_better(event.value, than=self.best):
            self.best, self.best_number = event.value, event.number

    def follow(self, event: TrialStarted | Running) -> None:
        """Counts towards the budget as it is by now: it may be raised, and stages of a follow-up
        turn out smaller than they might have been.
        """
        self.budget = self.budget if event.budget is None else event.budget

    @property
    def known(self) -> str:
        """What is known so far, in lines."""
        if self.standings is not None:
            return "\n".join(self.standings.lines())
        if self.best is None:
            return "best trial: none yet"
        which = "" if self.best_number is None else f"{self.best_number}, "
        return f"best trial: {which}{self.best:.4f}"

    def seconds_to_go(self) -> float | None:
        """By this worker's pace so far; unknown before its first trial."""
        done = self.finished - self._finished_before
        if done == 0:
            return None
        return (self._clock() - self._started) / done * max(0, self.budget - self.finished)


def new_tally(opened: StudyOpened) -> Tally:
    """A tally on the process's monotonic clock."""
    standings = (
        None
        if opened.follow_up is None
        else Standings(opened.follow_up, opened.direction, opened.trained)
    )
    return Tally(
        opened.finished, opened.budget, opened.best, opened.direction, time.monotonic, standings
    )


def line(event: TrialFinished, tally: Tally | None) -> str:
    """One line for a finished trial; without a tally it names its study."""
    if event.training is not None:
        return _training_line(event, event.training, tally)
    value = "-" if event.value is None else f"{event.value:.4f}"
    reason = "" if event.reason is None else f" ({event.reason})"
    which = (
        f"trial {event.number}"
        if tally is not None
        else f"study {event.study} trial {event.number}"
    )
    return (
        f"{which} {event.outcome}{reason} {value} after {event.epochs} epochs: "
        f"{brief(event.parameters)}{'' if tally is None else _standing(tally)}"
    )


def _training_line(event: TrialFinished, training: FollowUpTraining, tally: Tally | None) -> str:
    said = f"{purpose_of(training)}: {outcome_of(event, training)}"
    if tally is None:
        return f"study {event.study}: {said}"
    beside = "" if tally.standings is None else tally.standings.beside(training)
    return f"{said}{_standing(tally)}{beside and f' {beside}'}"


def _standing(tally: Tally) -> str:
    best = "" if tally.best is None or tally.standings is not None else f", best {tally.best:.4f}"
    togo = tally.seconds_to_go()
    left = "" if togo is None or tally.finished >= tally.budget else f", {duration(togo)} to go"
    return f" [{tally.finished}/{tally.budget}{best}{left}]"
