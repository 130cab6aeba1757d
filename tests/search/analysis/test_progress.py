"""The course of a search, and how soon a curve tells how it will end."""

import random
from dataclasses import replace

import pytest
from scipy.stats import spearmanr

from search.analysis.progress import Improvement, progress, rank_correlations
from storage.records import EpochRecord, TrialRecord, TrialState


def trial(number: int, state: TrialState, curve: list[float], ended_ms: int) -> TrialRecord:
    epochs = tuple(
        EpochRecord(epoch, 1, 0, 1 - value, value, value, value, 0.1, 0, 36, 1, None)
        for epoch, value in enumerate(curve, start=1)
    )
    return TrialRecord(
        number=number,
        state=state,
        value=curve[-1] if curve and state != "failed" else None,
        costs=(),
        parameters={},
        epochs=epochs,
        attempts=1,
        device="cpu",
        threads=1,
        reason=None,
        started_ms=1000 * number,
        ended_ms=ended_ms,
    )


def test_the_best_so_far_goes_by_the_order_in_which_trials_ended() -> None:
    trials = [
        trial(0, "complete", [0.1, 0.7], 7_200_000),
        trial(1, "complete", [0.1, 0.6], 3_600_000),
        trial(2, "pruned", [0.9], 3_700_000),
        trial(3, "failed", [0.2], 3_800_000),
        trial(4, "complete", [0.2, 0.65], 9_000_000),
    ]
    found = progress(trials, "maximize")
    assert found.improvements == (
        Improvement(1, 0.6, 2, 1.0),
        Improvement(0, 0.7, 6, 2.0),
    )
    assert (found.epochs, found.hours, found.training_hours) == (8, 2.5, pytest.approx(0.08))
    assert [each.number for each in progress(trials, "minimize").improvements] == [1]
    assert progress([], "maximize").hours is None
    unknown = [replace(each, started_ms=None) for each in trials]
    assert [each.hours for each in progress(unknown, "maximize").improvements] == [None, None]


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_rank_correlations_are_spearmans(metric: str) -> None:
    numbers = random.Random(0)
    # The values have ties.
    curves = [[numbers.randrange(8) / 8 for _ in range(4)] for _ in range(30)]
    trials = [trial(place, "complete", curve, place) for place, curve in enumerate(curves)]
    trials.append(trial(99, "pruned", [0.5, 0.5], 99))
    found = rank_correlations(trials, metric)
    assert [epoch for epoch, _ in found] == [1, 2, 3]
    for epoch, rho in found:
        expected = spearmanr([c[epoch - 1] for c in curves], [c[-1] for c in curves]).statistic
        assert rho == pytest.approx(expected)
    assert rank_correlations(trials[:9], metric) == []
    assert rank_correlations([], metric) == []
