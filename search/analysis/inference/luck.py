"""How much of a search's value was luck: a lucky seed, and images that suited the winner.

Both are said of the search's incumbent, fixed before the fresh runs; of a configuration that the
fresh runs chose they would be too small (the second winner's curse).
"""

from dataclasses import dataclass

from search.analysis.inference.components import (
    CONFIDENCE,
    Interval,
    components,
    quantile,
)
from search.analysis.inference.intervals import FEWEST_RUNS, within
from search.analysis.inference.runs import Runs


@dataclass(frozen=True)
class Luck:
    """By how much a value flattered, in fractions (of a loss: nats); below 0 it was bad luck."""

    value: float
    # The interval is None where there are only two runs, which are too few.
    interval: Interval | None

    @property
    def is_told(self) -> bool:
        """Whether it is told from none."""
        return self.interval is not None and not self.interval.holds(0.0)


def seed_luck(score: float, fresh: Runs, confidence: float = CONFIDENCE) -> Luck:
    """The search's value less the mean of fresh seeds on the same images, +- t(n-1) sqrt(S/n).

    Assumes roughly normal seeds and an incumbent that the fresh runs did not choose. Source:
    Student 1908; inference on winners: Andrews, Kitagawa & McCloskey 2024 (QJE 139). ValueError for
    one run.
    """
    parts = components(fresh)
    half = quantile(parts.count - 1, (1 - confidence) / 2)
    half *= (parts.run_variance / parts.count) ** 0.5
    return _luck(score - parts.mean, half, fresh)


def split_luck(validation: Runs, test: Runs, confidence: float = CONFIDENCE) -> Luck:
    """The mean of each run's validation value less its test value: d, n of them.

    h^2 = t(n - 1)^2 max(0, var(d)/n - E_T/(n m_T)) + t(max(9, W_T - 1))^2 I_T/m_T, of the test
    images T: those of the validation split are the ones in question, so they are not drawn anew.
    `validation` and `test` are the same runs in the same order. Assumptions as for an interval on
    new images. ValueError for one run or unlike numbers of runs.
    """
    if validation.count != test.count:
        raise ValueError(f"{validation.count} runs on validation, {test.count} on test images")
    parts, apart = components(test), validation.values - test.values
    smallest = (validation.step**2 + test.step**2) / 12
    upper = (1 - confidence) / 2
    of_seeds = quantile(parts.count - 1, upper) ** 2 / parts.count
    squared = of_seeds * max(0.0, float(apart.var(ddof=1)) - parts.rest_of_mean)
    squared += quantile(parts.freedom, upper) ** 2 * parts.image_variance_of_mean
    return _luck(float(apart.mean()), max(squared, of_seeds * smallest) ** 0.5, test)


def _luck(value: float, half: float, runs: Runs) -> Luck:
    flattering = runs.sign * value
    if runs.count < FEWEST_RUNS:
        return Luck(flattering, None)
    limits = (-runs.highest, runs.highest)
    return Luck(flattering, within(flattering - half, flattering + half, *limits))
