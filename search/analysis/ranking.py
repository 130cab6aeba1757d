"""Which trials are best: numbers from records."""

import math
from collections.abc import Iterable

from storage.records import TrialRecord

_ORDER = {"complete": 0, "pruned": 1, "running": 2, "failed": 3}


def rank(trials: Iterable[TrialRecord], direction: str) -> list[TrialRecord]:
    """Complete trials by value; then pruned ones by how far they came, and value; then running;
    then failed.

    Ties: lower validation loss, then lower number.
    """
    sign = -1 if direction == "maximize" else 1

    def key(trial: TrialRecord) -> tuple[int, int, float, float, int]:
        came = -len(trial.epochs) if trial.state == "pruned" and trial.value is not None else 0
        value = math.inf if trial.value is None else sign * trial.value
        loss = math.inf if trial.validation_loss is None else trial.validation_loss
        return _ORDER[trial.state], came, value, loss, trial.number

    return sorted(trials, key=key)


def incumbent(trials: Iterable[TrialRecord], direction: str) -> TrialRecord | None:
    """The best complete trial so far."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return rank(complete, direction)[0] if complete else None
