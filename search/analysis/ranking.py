"""Which trials are best: numbers from records."""

from collections.abc import Iterable

from storage.direction import Direction
from storage.records import TrialRecord

_ORDER = {"complete": 0, "pruned": 1, "running": 2, "failed": 3}


def rank(trials: Iterable[TrialRecord], direction: Direction) -> list[TrialRecord]:
    """Complete trials by value; then pruned ones by how far they came, and value; then running;
    then failed.

    Ties: lower validation loss, then lower number.
    """

    def key(trial: TrialRecord) -> tuple[int, int, float, float, int]:
        came = -len(trial.epochs) if trial.state == "pruned" and trial.value is not None else 0
        among_equals = direction.order(trial.value, trial.validation_loss, trial.number)
        return _ORDER[trial.state], came, *among_equals

    return sorted(trials, key=key)


def incumbent(trials: Iterable[TrialRecord], direction: Direction) -> TrialRecord | None:
    """The best complete trial so far."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return rank(complete, direction)[0] if complete else None
