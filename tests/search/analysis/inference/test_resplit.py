"""Runs that are each judged on a fold of their own: formulas, edges, and what they cover, in
small.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from lab.made_up_folds import Divided
from lab.made_up_runs import Networks
from search.analysis.inference.best_set import BestSet
from search.analysis.inference.components import Interval
from search.analysis.inference.resplit import (
    ResplitRuns,
    parts_of,
    parts_of_pair,
    resplit_best_set,
    resplit_difference,
    resplit_estimate,
    resplit_luck,
    resplit_visible,
)
from search.analysis.inference.runs import Runs, accuracy, loss
from tests.search.analysis.inference.made_up import fixed
from tests.search.analysis.inference.test_edges import EXTREMES, has_a_width

DRAWS = 300


def apart(runs: Runs, folds: int = 4) -> ResplitRuns:
    """The same answers, as if each run had images of its own."""
    return ResplitRuns(
        {
            seed: replace(
                runs,
                scores=runs.scores[seed : seed + 1],
                right=None if runs.right is None else runs.right[seed : seed + 1],
            )
            for seed in range(runs.count)
        },
        folds,
    )


def of_losses(*values: list[float], folds: int) -> ResplitRuns:
    return ResplitRuns({seed: loss(np.array([each])) for seed, each in enumerate(values)}, folds)


def test_the_half_width_is_that_of_runs_and_of_images_each_with_its_own_freedom() -> None:
    found = of_losses([0.1, 0.3, 0.2], [0.9, 0.6, 0.3], [0.0, 0.2, 0.1], [0.5, 0.4, 0.6], folds=5)
    values = np.array([0.2, 0.6, 0.1, 0.5])
    of_images = np.mean([0.01, 0.09, 0.01, 0.01]) / 3
    expected = t.ppf(0.975, 3) ** 2 * (values.var(ddof=1) - of_images) / 4
    expected += t.ppf(0.975, 11) ** 2 * of_images / 4
    assert parts_of(found).half_width(0.025) == pytest.approx(expected**0.5)
    # Of two rounds of two folds the images count once, and the runs four times.
    twice = replace(found, folds=3)
    expected = t.ppf(0.975, 3) ** 2 * (values.var(ddof=1) - of_images) / 4
    expected += t.ppf(0.975, 9) ** 2 * of_images / 2
    assert parts_of(twice).half_width(0.025) == pytest.approx(expected**0.5)


def test_two_configurations_are_paired_run_by_run_and_image_by_image() -> None:
    one = of_losses([0.1, 0.3], [0.9, 0.6], [0.0, 0.2], folds=5)
    # Each fold is as hard for both, and one is worse by 0.05 on every image.
    other = of_losses([0.15, 0.35], [0.95, 0.65], [0.05, 0.25], folds=5)
    parts = parts_of_pair(other, one)
    assert parts.mean == pytest.approx(0.05)
    assert parts.image_variance == pytest.approx(0.0, abs=1e-15)
    assert parts.half_width(0.025) < 0.01
    assert resplit_best_set([one, other]) == BestSet((True, False), 0)
    found = resplit_difference(other, one)
    half = parts.half_width(0.025)
    assert (found.value, found.these_images) == (parts.mean, None)
    assert found.new_images == Interval(parts.mean - half, parts.mean + half)
    # What only one of them has is left out, and of one run together nothing is said.
    fewer = ResplitRuns({0: other.by_seed[0], 7: other.by_seed[1]}, 5)
    assert resplit_best_set([one, fewer]) == BestSet((True, True), 0)
    assert resplit_visible([one, fewer]) is None
    with pytest.raises(ValueError, match="1 finished run"):
        parts_of_pair(one, fewer)


def test_runs_on_folds_of_other_sizes_are_no_pairs() -> None:
    one, other = apart(accuracy(fixed(3, 60, 9))), apart(accuracy(fixed(3, 59, 9)))
    with pytest.raises(ValueError, match="on the same folds"):
        parts_of_pair(one, other)


@pytest.mark.parametrize("runs", EXTREMES.values(), ids=EXTREMES)
def test_where_nothing_varies_there_is_a_width_and_no_number_that_is_none(runs: Runs) -> None:
    found = apart(runs)
    estimate, luck = resplit_estimate(found), resplit_luck(0.5, found)
    assert estimate.these_images is None
    assert (estimate.new_images is None) == (luck.interval is None) == (runs.count == 2)
    if estimate.new_images is not None and luck.interval is not None:
        assert has_a_width(estimate.new_images, 0.0, runs.highest)
        assert estimate.new_images.low - 1e-12 <= estimate.mean <= estimate.new_images.high + 1e-12
        assert luck.interval.low <= luck.value <= luck.interval.high
    assert parts_of_pair(found, found).half_width(0.025) > 0
    assert resplit_best_set([found] * 3) == BestSet((True,) * 3, 0)
    visible = resplit_visible([found] * 3)
    assert visible is not None
    assert visible.now > 0
    assert visible.more_seeds <= visible.now


def test_the_order_of_configurations_and_images_does_not_matter() -> None:
    random = np.random.default_rng(0)
    runs = [accuracy(random.random((5, 90)) < share) for share in (0.9, 0.88, 0.7)]
    order = random.permutation(90)
    mixed = [accuracy(np.asarray(each.right)[:, order]) for each in runs]
    arms, others = [apart(each) for each in runs], [apart(each) for each in mixed]
    assert resplit_best_set(arms).may_be_best == resplit_best_set(others).may_be_best
    assert resplit_best_set(arms[::-1]).may_be_best == resplit_best_set(arms).may_be_best[::-1]
    one, same = (resplit_estimate(each[0]).new_images for each in (arms, others))
    assert isinstance(one, Interval)
    assert isinstance(same, Interval)
    assert (one.low, one.high) == pytest.approx((same.low, same.high))


def test_intervals_cover_what_they_say_with_the_split_in_them() -> None:
    """`python -m benchmarks.inference --only resplit` does the same with enough draws."""
    random, networks = np.random.default_rng(1), Networks(0.95, 0.003)
    mean, difference, thrown_out, without_images = [], [], [], []
    for _ in range(DRAWS):
        divided = Divided(random, 1000, 5)
        validations = divided.validations(5)
        arms = []
        for _ in range(3):
            margins = networks.margins(random, divided.common)
            lessons = divided.lessons(random, 0.5 * networks.seed_deviation)
            found = divided.runs(random, networks, margins, lessons, validations)
            arms.append(ResplitRuns({at: accuracy(each) for at, each in enumerate(found)}, 5))
        interval, parts = resplit_estimate(arms[0]).new_images, parts_of(arms[0])
        assert interval is not None
        mean.append(interval.holds(0.95))
        pair = parts_of_pair(arms[0], arms[1])
        difference.append(abs(pair.mean) <= pair.half_width(0.025))
        thrown_out.append(1 - np.mean(resplit_best_set(arms).may_be_best))
        only_runs = replace(parts, image_variance=0.0, run_variance=parts.of_runs)
        without_images.append(abs(parts.mean - 0.95) <= only_runs.half_width(0.025))
    assert 0.92 <= np.mean(mean) <= 0.99
    assert 0.94 <= np.mean(difference) <= 1.0
    assert np.mean(thrown_out) <= 0.05
    assert np.mean(without_images) < 0.8
