"""Whatever the answers: nothing depends on the order of images, seeds or arms, and no bound lies
where no value can.
"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.analysis.inference.ablation import AblationEffect, Arm, Look, judge, visible_effect
from search.analysis.inference.best_set import best_set, visible_difference
from search.analysis.inference.components import Interval
from search.analysis.inference.differences import difference
from search.analysis.inference.intervals import estimate
from search.analysis.inference.luck import seed_luck, split_luck
from search.analysis.inference.runs import Runs, accuracy, balanced_accuracy, loss, macro_f1

# A metric maps predicted classes (runs, images) and labels (images,) to runs.
Metric = Callable[[np.ndarray, np.ndarray], Runs]
METRICS: dict[str, Metric] = {
    "accuracy": lambda predicted, labels: accuracy(predicted == labels),
    "balanced_accuracy": lambda predicted, labels: balanced_accuracy(predicted == labels, labels),
    "macro_f1": macro_f1,
    "loss": lambda predicted, labels: loss(0.1 + abs(predicted - labels) * 0.7),
}
each_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[np.ndarray], np.ndarray, np.random.Generator]:
    """Predicted classes of some configurations on the same images, and their labels."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    images, classes = draw(st.integers(4, 60)), draw(st.integers(2, 4))
    labels = random.integers(0, classes, images)
    wrong = draw(st.sampled_from([0.0, 0.02, 0.2, 0.6, 1.0]))
    configurations = []
    for _ in range(draw(st.integers(2, 5))):
        runs = draw(st.integers(2, 5))
        easy = random.random(images) < 0.5
        slips = (random.random((runs, images)) < wrong) & ~(easy & (random.random(images) < 0.7))
        configurations.append(np.where(slips, (labels + 1) % classes, labels))
    return configurations, labels, random


def near(one: Interval | None, other: Interval | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose([one.low, one.high], [other.low, other.high], rtol=0, atol=1e-9))


@each_metric
@settings(max_examples=40, deadline=None)
@given(given=answers())
def test_the_order_of_images_and_seeds_does_not_matter(
    metric: Metric, given: tuple[list[np.ndarray], np.ndarray, np.random.Generator]
) -> None:
    configurations, labels, random = given
    order = random.permutation(len(labels))
    first, second = (metric(each, labels) for each in configurations[:2])
    mixed, other = (
        metric(random.permutation(each)[:, order], labels[order]) for each in configurations[:2]
    )
    one, same = estimate(first), estimate(mixed)
    assert one.mean == pytest.approx(same.mean, abs=1e-12)
    assert near(one.these_images, same.these_images)
    assert near(one.new_images, same.new_images)
    assert one.seed_deviation == pytest.approx(same.seed_deviation, abs=1e-6)
    apart, still = difference(first, second), difference(mixed, other)
    assert near(apart.these_images, still.these_images)
    assert near(apart.new_images, still.new_images)


@each_metric
@settings(max_examples=40, deadline=None)
@given(given=answers())
def test_no_bound_lies_where_no_value_can_and_all_have_a_width(
    metric: Metric, given: tuple[list[np.ndarray], np.ndarray, np.random.Generator]
) -> None:
    configurations, labels, _ = given
    runs = [metric(each, labels) for each in configurations]
    first, highest = runs[0], runs[0].highest
    apart = difference(first, runs[1])
    found = [(estimate(first).these_images, 0.0), (estimate(first).new_images, 0.0)]
    found += [(seed_luck(0.5, first).interval, -highest)]
    found += [(split_luck(first, first).interval, -highest)]
    found += [(apart.these_images, -highest), (apart.new_images, -highest)]
    for interval, lowest in found:
        if interval is None:
            assert first.count == 2
            continue
        # A value that cannot be has an interval of no width, at the nearest that can.
        assert lowest <= interval.low < interval.high <= highest


@each_metric
@settings(max_examples=40, deadline=None)
@given(given=answers())
def test_the_order_of_configurations_does_not_matter(
    metric: Metric, given: tuple[list[np.ndarray], np.ndarray, np.random.Generator]
) -> None:
    configurations, labels, random = given
    runs = [metric(each, labels) for each in configurations]
    order = random.permutation(len(runs))
    ordered = [runs[place] for place in order]
    one, other = best_set(runs), best_set(ordered)
    assert [one.may_be_best[place] for place in order] == list(other.may_be_best)
    assert one.choice is not None
    assert one.may_be_best[one.choice]
    best = max(each.sign * each.values.mean() for each in runs)
    assert runs[one.choice].sign * runs[one.choice].values.mean() == pytest.approx(best, abs=1e-12)
    seen, also = visible_difference(runs), visible_difference(ordered)
    assert seen is not None
    assert also is not None
    assert (seen.now, seen.more_seeds) == pytest.approx((also.now, also.more_seeds), abs=1e-9)


@each_metric
@settings(max_examples=40, deadline=None)
@given(given=answers())
def test_the_order_of_arms_does_not_matter(
    metric: Metric, given: tuple[list[np.ndarray], np.ndarray, np.random.Generator]
) -> None:
    configurations, labels, random = given
    reference, *others = (metric(each, labels) for each in configurations)
    arms = [Arm(f"arm {place}", runs) for place, runs in enumerate(others)]
    mixed = [arms[place] for place in random.permutation(len(arms))]
    look = Look(2, 0.05)
    one, other = judge(reference, arms, look), judge(reference, mixed, look)

    def told(effects: tuple[AblationEffect, ...]) -> dict[str, object]:
        return {effect.name: (effect.verdict, round(effect.value or 0.0, 9)) for effect in effects}

    assert told(one.effects) == told(other.effects)
    assert one.goes_on == other.goes_on
    assert visible_effect(reference, arms, look) == pytest.approx(
        visible_effect(reference, mixed, look), abs=1e-9
    )


@each_metric
@settings(max_examples=40, deadline=None)
@given(given=answers())
def test_exchanging_two_configurations_turns_the_sign(
    metric: Metric, given: tuple[list[np.ndarray], np.ndarray, np.random.Generator]
) -> None:
    configurations, labels, _ = given
    first, second = (metric(each, labels) for each in configurations[:2])
    one, other = difference(first, second), difference(second, first)
    assert one.value == -other.value
    assert near(one.new_images, Interval(-other.new_images.high, -other.new_images.low))
    assert near(one.these_images, Interval(-other.these_images.high, -other.these_images.low))
