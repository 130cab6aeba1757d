"""Studies side by side at equal budget: how good each was after as much work as the others have
done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from search.analysis.ranking import incumbent
from storage.direction import Direction
from storage.records import TrialRecord


@dataclass(frozen=True)
class Standing:
    """The best complete trial of a study after its first `trials` finished ones, in which `epochs`
    were trained.
    """

    trials: int
    epochs: int
    best: TrialRecord | None


def after_trials(trials: Sequence[TrialRecord], count: int, direction: Direction) -> Standing:
    """After the first `count` finished trials, by number; epochs of trials that failed in between
    count too.
    """
    ended = _ended(trials)
    finished = accumulate(trial.state != "failed" for trial in ended)
    return _standing(
        [trial for trial, so_far in zip(ended, finished, strict=True) if so_far <= count], direction
    )


def within_epochs(trials: Sequence[TrialRecord], epochs: int, direction: Direction) -> Standing:
    """After the trials, by number, that fit into so many epochs."""
    ended = _ended(trials)
    trained = accumulate(len(trial.epochs) for trial in ended)
    return _standing(
        [trial for trial, so_far in zip(ended, trained, strict=True) if so_far <= epochs], direction
    )


def epochs_of(trials: Sequence[TrialRecord]) -> int:
    """Epochs trained in trials that have ended, however they did."""
    return sum(len(trial.epochs) for trial in _ended(trials))


def _ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return sorted(
        (trial for trial in trials if trial.state != "running"), key=lambda trial: trial.number
    )


def _standing(taken: Sequence[TrialRecord], direction: Direction) -> Standing:
    finished = sum(trial.state != "failed" for trial in taken)
    return Standing(finished, epochs_of(taken), incumbent(taken, direction))
