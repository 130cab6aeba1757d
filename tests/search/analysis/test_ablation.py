"""What an ablation computes from its trainings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from search.analysis.ablation import REFERENCE, factors, judged_looks
from search.analysis.judged import Judged
from search.spec.follow_up import (
    AblatedArm,
    AblatePlan,
    Candidate,
    PlannedTraining,
    Purpose,
    octaves_of,
)
from storage.predictions import SplitPredictions
from storage.records import TrialRecord

PLAN = AblatePlan(
    {},
    (3,),
    octaves_of(5),
    Candidate("trial 0", 0, 0.9, {"optimizer": "sgd", "sgd.learning_rate": 0.1}),
    "sgd.learning_rate",
    (AblatedArm("dropout", False, "0.2", {}), AblatedArm("l1", True, "1e-05", {})),
    (),
)
TRIAL = TrialRecord(0, "complete", 0.9, (), {}, (), 1, "cpu", 1, None, None, None)


def trained(arm: str, purpose: Purpose, index: int, right: int) -> Judged:
    """One that classifies so many of 100 images rightly, which ones is a matter of its seed."""
    labels = np.zeros(100, np.uint16)
    order = np.random.RandomState(index).permutation(100)
    classes = np.ones(100, np.uint16)
    classes[order[:right]] = 0
    answered = SplitPredictions("validation", "hash", labels, classes, np.ones(100, np.float16))
    return Judged(0, PlannedTraining(arm, purpose, index, index, {}), TRIAL, answered, None)


def judged() -> list[Judged]:
    arms = ((REFERENCE, 6, 90), ("dropout", 3, 80), ("l1", 3, 90))
    return [
        trained(arm, "judge", index, mean + index % 2)
        for arm, seeds, mean in arms
        for index in range(seeds)
    ]


def tuned(best: Sequence[int]) -> list[Judged]:
    return [
        trained(arm, "tune", place, right)
        for arm in (REFERENCE, "dropout", "l1")
        for place, right in enumerate(best)
    ]


@pytest.mark.parametrize("place", range(5))
def test_no_score_of_a_run_that_finds_a_rate_enters_an_effect(place: int) -> None:
    usual = tuned([70, 85, 90, 85, 70])
    perfect = [
        replace(each, validation=trained("", "tune", 0, 100).validation)
        if (each.training.arm, each.training.seed_index) == ("dropout", place)
        else each
        for each in usual
    ]
    expected = judged_looks(PLAN, "accuracy", judged())
    assert [each.verdict for each in expected[0].effects] == ["helps", "not told"]
    assert judged_looks(PLAN, "accuracy", [*usual, *judged()]) == expected
    assert judged_looks(PLAN, "accuracy", [*perfect, *judged()]) == expected
    # It is seen where rates are chosen.
    before, after = (factors(PLAN, "accuracy", each) for each in (usual, perfect))
    if place != 2:
        assert after["dropout"] != before["dropout"]
    assert after[REFERENCE] == before[REFERENCE] == pytest.approx(1.0, abs=0.05)
