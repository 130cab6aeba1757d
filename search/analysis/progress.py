"""How a search went: the best so far, and how soon a curve tells how it will end."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.analysis.equal_budget import epochs_of
from storage.records import EpochRecord, TrialRecord

# A correlation of fewer curves says nothing.
FEWEST_CURVES = 10
_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True)
class Improvement:
    """A trial that was better than all complete ones before it, and what had been spent by then."""

    number: int
    value: float
    # So many epochs had been trained in all trials that had ended.
    epochs: int
    # The hours count from the start of the first trial; None where that is not recorded.
    hours: float | None


@dataclass(frozen=True)
class SearchProgress:
    """The course of a search, in the order in which its trials ended."""

    improvements: tuple[Improvement, ...]
    # The trials have trained so many epochs in all.
    epochs: int
    # The hours count until the end of the last trial.
    hours: float | None
    # The hours of training are added up over all workers.
    training_hours: float


def progress(trials: Sequence[TrialRecord], direction: str) -> SearchProgress:
    """The course of these trials."""
    sign = 1 if direction == "maximize" else -1
    begun = min((each.started_ms for each in trials if each.started_ms is not None), default=None)
    ended = sorted(
        (each for each in trials if each.state != "running"),
        key=lambda each: (each.ended_ms or 0, each.number),
    )
    best: float | None = None
    epochs, improvements = 0, []
    for trial in ended:
        epochs += len(trial.epochs)
        if trial.state != "complete" or trial.value is None:
            continue
        if best is None or sign * trial.value > sign * best:
            best = trial.value
            hours = _hours(begun, trial.ended_ms)
            improvements.append(Improvement(trial.number, trial.value, epochs, hours))
    seconds = sum(epoch.seconds for trial in trials for epoch in trial.epochs)
    return SearchProgress(
        improvements=tuple(improvements),
        epochs=epochs_of(trials),
        hours=_hours(begun, ended[-1].ended_ms) if ended else None,
        training_hours=seconds / 3600,
    )


def _hours(begun_ms: int | None, ended_ms: int | None) -> float | None:
    return None if begun_ms is None or ended_ms is None else (ended_ms - begun_ms) / _MS_PER_HOUR


def metric_of(epoch: EpochRecord, metric: str) -> float:
    """The validation metric of that name in a spec, after the epoch."""
    return {
        "accuracy": epoch.validation_accuracy,
        "balanced_accuracy": epoch.validation_balanced_accuracy,
        "macro_f1": epoch.validation_macro_f1,
        "loss": epoch.validation_loss,
    }[metric]


def rank_correlations(trials: Sequence[TrialRecord], metric: str) -> list[tuple[int, float]]:
    """By epoch, how well the order of the complete trials after it tells their order after the last
    one: (epoch, Spearman's rho); empty where too few have run all epochs.
    """
    curves = [
        [metric_of(epoch, metric) for epoch in trial.epochs]
        for trial in trials
        if trial.state == "complete" and trial.epochs
    ]
    whole = max(map(len, curves), default=0)
    curves = [curve for curve in curves if len(curve) == whole]
    if len(curves) < FEWEST_CURVES or whole < 2:
        return []
    last = _ranks([curve[-1] for curve in curves])
    return [
        (epoch, _correlation(_ranks([curve[epoch - 1] for curve in curves]), last))
        for epoch in range(1, whole)
    ]


def _ranks(values: Sequence[float]) -> list[float]:
    """From 0; equal values share their mean rank."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[start]]:
            for place in order[start:end]:
                ranks[place] = (start + end - 1) / 2
            start = end
    return ranks


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    middle = (len(one) - 1) / 2
    both = sum((a - middle) * (b - middle) for a, b in zip(one, other, strict=True))
    spread = sum((a - middle) ** 2 for a in one) * sum((b - middle) ** 2 for b in other)
    return 0.0 if spread == 0 else both / spread**0.5
