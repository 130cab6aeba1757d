"""The formulas give the numbers that another implementation of them gave, to 1e-6."""

import numpy as np
import pytest

from search.analysis.inference.ablation import Arm, Look, judge
from search.analysis.inference.best_set import best_set
from search.analysis.inference.components import Interval
from search.analysis.inference.differences import difference
from search.analysis.inference.intervals import divergence, estimate
from search.analysis.inference.luck import Luck, seed_luck, split_luck
from search.analysis.inference.noise import accuracy_noise, noise_of
from search.analysis.inference.reproduction import explained_by_seeds
from search.analysis.inference.runs import Runs, accuracy
from search.analysis.inference.second_look import second_look
from tests.search.analysis.inference.made_up import fixed

FIRST, SECOND = accuracy(fixed(5, 800, 3)), accuracy(fixed(5, 800, 4, 50))
ARMS = [accuracy(fixed(5, 800, 3 + k % 4, 100 + 10 * k)) for k in range(5)]


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def near(*numbers: float) -> object:
    return pytest.approx(numbers, abs=1e-6)


def test_the_runs_are_the_golden_ones() -> None:
    assert FIRST.values.tolist() == [0.975, 0.97625, 0.9825, 0.9825, 0.97875]
    assert SECOND.values.tolist() == [0.9775, 0.975, 0.97625, 0.96875, 0.97375]


def test_one_configuration() -> None:
    found = estimate(FIRST)
    assert found.mean == pytest.approx(0.979)
    assert ends(found.these_images) == near(0.974693, 0.983307)
    assert ends(found.new_images) == near(0.970481, 0.985098)
    assert (found.run_deviation, found.seed_deviation) == near(0.003469, 0.0)


def test_all_right_is_wilsons_interval_and_ends_at_1() -> None:
    found = estimate(accuracy(np.ones((3, 200), bool)))
    assert ends(found.these_images) == near(0.996414, 1)
    assert ends(found.new_images) == near(0.980928, 1)


def test_two_configurations() -> None:
    found = difference(FIRST, SECOND)
    assert found.value == pytest.approx(0.00475)
    assert ends(found.these_images) == near(0.00475 - 0.004993, 0.00475 + 0.004993)
    assert ends(found.new_images) == near(0.00475 - 0.006345, 0.00475 + 0.006345)


def test_the_best_set() -> None:
    configurations = [FIRST, SECOND, *ARMS]
    these = best_set(configurations, images="these").may_be_best
    assert these == (True, False, True, False, False, False, True)
    new = best_set(configurations, images="new").may_be_best
    assert new == (True, True, True, False, False, False, True)


def test_an_ablation() -> None:
    arms = [Arm(f"arm {k}", arm) for k, arm in enumerate(ARMS)]
    effects = judge(accuracy(fixed(10, 800, 3)), arms, Look(5, 0.05)).effects
    halves = [(ends(effect.interval)[1] - ends(effect.interval)[0]) / 2 for effect in effects]
    assert [effect.value for effect in effects] == near(
        -0.003125, 0.007625, 0.011625, 0.014125, 0.000375
    )
    assert halves == near(0.005946, 0.006986, 0.008502, 0.007797, 0.003542)
    verdicts = [effect.verdict for effect in effects]
    assert verdicts == ["not told", "not told", "helps", "helps", "not told"]


def test_luck() -> None:
    def numbers(luck: Luck) -> tuple[float, ...]:
        return luck.value, *ends(luck.interval)

    assert numbers(seed_luck(0.99, FIRST)) == near(0.011, 0.006693, 0.015307)
    test = accuracy(fixed(5, 1000, 5))
    assert numbers(split_luck(FIRST, test)) == near(0.0112, 0.00304, 0.01936)


def test_divergence() -> None:
    assert ends(divergence(1, 5).share) == near(0.005051, 0.716418)
    assert ends(divergence(0, 5).share) == near(0.0, 0.521824)


def test_the_second_look() -> None:
    noise = accuracy_noise(0.985, 800)
    once = second_look([[0.985], [0.98375], [0.9825], [0.98], [0.97]], noise)
    assert (once.retrain, once.named) == (0, 0)
    assert once.gain == pytest.approx(0.00036763640115914644, abs=1e-12)
    twice = second_look([[0.985, 0.97875], [0.98375], [0.9825], [0.98], [0.97]], noise)
    assert (twice.retrain, twice.named) == (1, 1)
    assert twice.gain == pytest.approx(0.0003676364011591817, abs=1e-12)


def test_what_seeds_explain() -> None:
    one, other = (accuracy(FIRST.scores[run : run + 1]) for run in (0, 1))
    apart = float(one.values[0] - other.values[0])
    assert ends(explained_by_seeds(one, other, apart)) == near(-0.013897, 0.013897)
    assert ends(explained_by_seeds(one, other, apart, incumbent_of=15)) == near(-0.013897, 0.020812)


def test_the_noise_of_bits_is_that_of_their_share() -> None:
    run: Runs = accuracy(FIRST.scores[:1])
    assert noise_of(run) == pytest.approx(accuracy_noise(0.975, 800), rel=1e-12)
