"""Where nothing varies, nothing finished, or next to nothing is there: no NaN, no empty set, no
interval without a width.
"""

import subprocess
import sys

import numpy as np
import pytest

from search.analysis.inference.ablation import (
    LOOKS,
    AblationJudgement,
    Arm,
    Look,
    judge,
    visible_effect,
)
from search.analysis.inference.best_set import BestSet, Visible, best_set, visible_difference
from search.analysis.inference.components import Interval
from search.analysis.inference.differences import difference
from search.analysis.inference.intervals import Divergence, divergence, estimate
from search.analysis.inference.learning_rates import OCTAVES, choose_rate
from search.analysis.inference.luck import Luck, seed_luck, split_luck
from search.analysis.inference.runs import Runs, accuracy, balanced_accuracy, loss, macro_f1
from search.analysis.inference.second_look import SecondLook, second_look
from tests.search.analysis.inference.made_up import fixed

NO_RUN = np.ones((0, 60), bool)


def bits(runs: int, images: int, *wrong: tuple[int, int]) -> Runs:
    """All right but for those (run, image)."""
    right = np.ones((runs, images), bool)
    for place in wrong:
        right[place] = False
    return accuracy(right)


EXTREMES = {
    "all right": bits(3, 60),
    "all wrong": accuracy(np.zeros((3, 60), bool)),
    "all runs equal": bits(3, 60, (0, 5), (1, 5), (2, 5)),
    "one image differs": bits(3, 60, (1, 7)),
    "another image in each run": bits(3, 60, (0, 1), (1, 2), (2, 3)),
    "equal values, images that differ": accuracy(
        np.array([[run != image % 3 for image in range(60)] for run in range(3)])
    ),
    "two runs": bits(2, 60, (0, 3)),
    "two equal runs": bits(2, 60),
    "two images": accuracy(np.array([[True, False], [True, True], [False, True]])),
    "a loss that is 0": loss(np.zeros((3, 60))),
    "equal losses": loss(np.full((3, 60), 0.7)),
    "one image of a class": balanced_accuracy(fixed(3, 60, 9), np.arange(60) // 59),
    "one image of each class": balanced_accuracy(fixed(3, 60, 9), np.arange(60)),
    "one class": balanced_accuracy(fixed(3, 60, 9), np.zeros(60, int)),
    "no F1": macro_f1(np.zeros((3, 60), int), np.ones(60, int)),
}
each_extreme = pytest.mark.parametrize("runs", EXTREMES.values(), ids=EXTREMES)


def has_a_width(interval: Interval | None, low: float, high: float) -> bool:
    return interval is not None and low <= interval.low < interval.high <= high


@each_extreme
def test_an_interval_has_a_width_and_holds_the_mean(runs: Runs) -> None:
    found = estimate(runs)
    if runs.count == 2:
        assert (found.these_images, found.new_images) == (None, None)
        return
    for interval in (found.these_images, found.new_images):
        assert has_a_width(interval, 0.0, runs.highest)
        assert interval is not None
        assert interval.low - 1e-12 <= found.mean <= interval.high + 1e-12


@each_extreme
def test_a_difference_from_itself_is_nothing_give_or_take(runs: Runs) -> None:
    found = difference(runs, runs)
    assert found.value == 0
    for interval in (found.these_images, found.new_images):
        assert has_a_width(interval, -runs.highest, runs.highest)
        assert interval.holds(0.0)


@each_extreme
@pytest.mark.parametrize("count", [1, 2, 4])
def test_equal_configurations_may_all_be_the_best(runs: Runs, count: int) -> None:
    for images in ("these", "new"):
        assert best_set([runs] * count, images=images) == BestSet((True,) * count, 0)
    visible = visible_difference([runs] * count)
    assert (visible is None) == (count == 1)
    if visible is not None:
        assert np.isfinite([visible.now, visible.more_seeds]).all()
        assert visible.now > 0


@each_extreme
def test_an_arm_that_is_the_reference_is_not_told(runs: Runs) -> None:
    for look in LOOKS:
        found = judge(runs, [Arm("a", runs), Arm("b", runs, adds=True)], look)
        assert [effect.verdict for effect in found.effects] == ["not told", "not told"]
        assert all(
            has_a_width(effect.interval, -runs.highest, runs.highest) for effect in found.effects
        )
        assert np.isfinite(visible_effect(runs, [Arm("a", runs)], look))


@each_extreme
def test_luck_has_a_width(runs: Runs) -> None:
    for luck in (seed_luck(0.9, runs), split_luck(runs, runs)):
        if runs.count == 2:
            assert luck.interval is None
            assert not luck.is_told
        else:
            assert has_a_width(luck.interval, -runs.highest, runs.highest)


def test_one_run_is_refused() -> None:
    for answer in (
        lambda: estimate(bits(1, 60)),
        lambda: seed_luck(0.9, bits(1, 60)),
        lambda: best_set([bits(3, 60), bits(1, 60)]),
        lambda: judge(bits(3, 60), [Arm("a", bits(1, 60))], LOOKS[0]),
    ):
        with pytest.raises(ValueError, match=r"^1 finished run\(s\) say nothing of how runs vary"):
            answer()


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^configurations are judged on the same images, not on"):
        difference(bits(3, 60), bits(3, 61))
    with pytest.raises(ValueError, match=r"^3 runs on validation, 4 on test images$"):
        split_luck(bits(3, 60), bits(4, 60))
    with pytest.raises(ValueError, match=r"^6 of 5 runs diverged: that cannot be$"):
        divergence(6, 5)
    with pytest.raises(ValueError, match=r"^a score is not finite: leave out the runs that diverg"):
        loss(np.array([[0.1, np.nan], [0.1, 0.2]]))
    with pytest.raises(ValueError, match=r"^two arms have one name$"):
        judge(bits(3, 60), [Arm("a", bits(3, 60))] * 2, LOOKS[0])


def test_a_configuration_that_diverged_in_a_run_is_never_the_best() -> None:
    good, poor = bits(4, 60), accuracy(fixed(5, 60, 60))
    assert best_set([good, poor, poor], diverged=[1, 0, 0]) == BestSet((False, True, True), 1)
    # Nothing is compared with it either, so one that it would have beaten may be the best.
    assert best_set([good, poor]).may_be_best == (True, False)
    assert best_set([accuracy(NO_RUN), poor], diverged=[5, 0]) == BestSet((False, True), 1)
    assert best_set([good, poor], diverged=[1, 2]) == BestSet((False, False), None)


def test_an_arm_that_diverged_in_all_runs_is_told_so_and_goes_no_further() -> None:
    arms = [Arm("gone", accuracy(NO_RUN), diverged=3), Arm("there", bits(3, 60, (0, 1)))]
    found = judge(bits(6, 60), arms, LOOKS[0])
    gone, there = found.effects
    assert (gone.value, gone.interval, gone.verdict, gone.seeds) == (None, None, "diverged", 3)
    assert there.verdict == "not told"
    assert found.goes_on == ("there",)
    nothing: AblationJudgement = judge(bits(6, 60), arms[:1], LOOKS[0])
    assert (nothing.effects, nothing.goes_on) == ((gone,), ())
    with pytest.raises(ValueError, match=r"^every arm diverged: nothing says how they vary$"):
        visible_effect(bits(6, 60), arms[:1], LOOKS[0])


def test_divergence_of_all_and_of_none() -> None:
    assert divergence(5, 5) == Divergence(5, 5, Interval(divergence(5, 5).share.low, 1.0))
    assert divergence(5, 5).share.low == pytest.approx(0.025 ** (1 / 5))
    assert divergence(0, 1).share == Interval(0.0, pytest.approx(0.975))  # type: ignore[arg-type]


def test_of_one_configuration_nothing_is_to_be_seen() -> None:
    assert visible_difference([bits(3, 60)]) is None
    assert second_look([[0.9]], 1e-5) == SecondLook(0, 0.0, 0)
    with pytest.raises(ValueError, match=r"^a second look is at one configuration or more"):
        second_look([[0.9], []], 1e-5)


def test_more_seeds_show_all_on_these_images_and_not_all_on_new_ones() -> None:
    configurations = [accuracy(fixed(5, 800, 6, 40 * k)) for k in range(3)]
    these = visible_difference(configurations, images="these")
    new = visible_difference(configurations, images="new")
    assert these is not None
    assert new is not None
    assert these.more_seeds == 0.0
    assert isinstance(new, Visible)
    assert 0 <= new.more_seeds < new.now


def test_the_old_rate_stays_where_no_run_finished() -> None:
    assert choose_rate([], [], 1e-5).factor == 1.0
    assert choose_rate(OCTAVES, [0.9] * 5, 1e-5).octaves == pytest.approx(0.0, abs=1e-9)


def test_luck_of_two_runs_is_a_number_alone() -> None:
    assert seed_luck(1.0, bits(2, 60)) == Luck(0.0, None)


def test_the_program_starts_without_it() -> None:
    code = (
        "import sys, search.cli.main\n"
        "sys.exit(any(name.startswith('search.analysis.inference') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_needs_neither_training_nor_a_database() -> None:
    code = (
        "import sys, pkgutil, importlib, search.analysis.inference as room\n"
        "for module in pkgutil.iter_modules(room.__path__):\n"
        "    importlib.import_module(f'{room.__name__}.{module.name}')\n"
        "print(*sorted({'torch', 'optuna', 'sqlalchemy', 'storage'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "\n"


def test_a_single_look_is_a_look_at_all_of_the_error() -> None:
    assert sum(look.error for look in LOOKS) == pytest.approx(Look(5, 0.05).error)
