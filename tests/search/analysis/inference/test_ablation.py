"""Verdicts of all arms together, look by look."""

import numpy as np
import pytest

from lab.made_up_runs import Networks
from search.analysis.inference.ablation import (
    LOOKS,
    AblationJudgement,
    Arm,
    Look,
    judge,
    visible_effect,
)
from search.analysis.inference.learning_rates import OCTAVES, choose_rate
from search.analysis.inference.runs import Runs, accuracy, loss

IMAGES = 2000
RANDOM = np.random.default_rng(7)
COMMON = RANDOM.standard_normal(IMAGES)


def runs(share: float, count: int) -> Runs:
    networks = Networks(share, 0.001)
    return accuracy(networks.runs(RANDOM, networks.margins(RANDOM, COMMON), count))


REFERENCE = runs(0.97, 20)
GOOD, BAD = runs(0.90, 10), runs(0.995, 10)
EQUAL = [runs(0.97, 10) for _ in range(5)]


def first(runs: Runs, count: int) -> Runs:
    return accuracy(runs.scores[:count])


def test_what_is_missed_helps_and_what_is_better_left_hurts() -> None:
    arms = [Arm("used and good", GOOD), Arm("used and bad", BAD)]
    arms += [Arm("not used and good", BAD, adds=True), Arm("not used and bad", GOOD, adds=True)]
    effects = judge(REFERENCE, arms, Look(10, 0.05)).effects
    assert [effect.verdict for effect in effects] == ["helps", "hurts", "helps", "hurts"]
    missed, better = (REFERENCE.values.mean() - runs.values.mean() for runs in (GOOD, BAD))
    assert [effect.value for effect in effects] == pytest.approx([missed, better, -better, -missed])
    assert better < 0 < missed
    for effect in effects:
        assert effect.value is not None
        assert effect.interval is not None
        assert effect.interval.holds(effect.value)
        assert not effect.interval.holds(0.0)


def test_of_a_loss_what_lowers_it_helps() -> None:
    low = loss(0.5 + 0.02 * RANDOM.standard_normal((6, IMAGES)))
    high = loss(0.6 + 0.02 * RANDOM.standard_normal((3, IMAGES)))
    (effect,) = judge(low, [Arm("used", high)], LOOKS[0]).effects
    assert (effect.verdict, round(effect.value or 0, 2)) == ("helps", -0.1)


def test_the_undecided_half_with_the_greater_strength_goes_on() -> None:
    arms = [Arm(name, first(each, 3)) for name, each in zip("abcde", EQUAL, strict=True)]
    arms.append(Arm("sure", first(GOOD, 3)))
    found = judge(first(REFERENCE, 6), arms, LOOKS[0])
    assert [effect.verdict for effect in found.effects] == [*["not told"] * 5, "helps"]
    undecided = sorted(found.effects[:5], key=lambda effect: -effect.strength)
    assert found.goes_on == tuple(effect.name for effect in undecided[:2])


def look_again(before: AblationJudgement, look: Look, arms: list[Arm]) -> AblationJudgement:
    told = {each.name: each.verdict for each in before.effects if each.verdict != "not told"}
    return judge(first(REFERENCE, 2 * look.seeds), arms, look, told=told)


def test_what_was_told_stands_and_what_was_left_behind_stays_there() -> None:
    arms = [Arm(name, first(each, 3)) for name, each in zip("abcde", EQUAL, strict=True)]
    arms.append(Arm("sure", first(GOOD, 3)))
    once = judge(first(REFERENCE, 6), arms, LOOKS[0])
    arms = [
        Arm(name, first(each, 5 if name in once.goes_on else 3))
        for name, each in zip("abcde", EQUAL, strict=True)
    ]
    # The runs of an arm that was told are not what they were: the verdict is.
    twice = look_again(once, LOOKS[1], [*arms, Arm("sure", first(EQUAL[0], 3))])
    assert twice.effects[-1].verdict == "helps"
    assert len(twice.goes_on) == 1
    assert set(twice.goes_on) < set(once.goes_on)


def test_ties_go_by_name_and_one_goes_on_at_least() -> None:
    same = first(REFERENCE, 6)
    arms = [Arm(name, first(EQUAL[0], 3)) for name in ("b", "a", "d", "c")]
    assert judge(same, arms, LOOKS[0]).goes_on == ("a", "b")
    assert judge(same, arms[:1], LOOKS[0]).goes_on == ("b",)


def test_more_seeds_show_smaller_effects() -> None:
    arms = [Arm(name, each) for name, each in zip("abcde", EQUAL, strict=True)]
    for images in ("these", "new"):
        seen = [visible_effect(REFERENCE, arms, Look(n, 0.05), images=images) for n in (3, 5, 10)]
        assert seen == sorted(seen, reverse=True)
        assert seen[-1] > 0


def test_a_rate_is_drawn_towards_the_better_runs_and_not_beyond_those_that_finished() -> None:
    noise = 0.0037**2
    falling = choose_rate(OCTAVES, [0.96, 0.97, 0.978, 0.984, 0.988], noise).octaves
    assert 0.5 < falling <= 2.0
    rising = choose_rate(OCTAVES, [0.988, 0.984, 0.978, 0.97, 0.96], noise).octaves
    assert abs(rising + falling) < 1e-9
    of_losses = choose_rate(OCTAVES, [-0.96, -0.97, -0.978, -0.984, -0.988], noise, "minimize")
    assert of_losses.octaves == falling
    three = choose_rate(OCTAVES[:3], [0.96, 0.97, 0.978], noise)
    assert three.octaves <= 0
    assert three.factor == 2**three.octaves


def test_a_run_that_collapsed_draws_the_rate_less_than_an_octave() -> None:
    noise = 0.0037**2
    without = choose_rate(OCTAVES[:4], [0.97, 0.978, 0.981, 0.979], noise).octaves
    collapsed = choose_rate(OCTAVES, [0.97, 0.978, 0.981, 0.979, 0.11], noise).octaves
    assert abs(collapsed - without) < 0.7
