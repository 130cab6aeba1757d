"""A pretrained baseline in a plan: compared with what the search has found, and never chosen."""

import numpy as np
import pytest

from search.analysis.choosing import choose
from search.analysis.judged import Judged
from search.spec.follow_up import BACKBONE, PRETRAINED, WEIGHTS, Candidate, ConfirmPlan
from search.studies.followups.confirming import (
    AskedToConfirm,
    first_stage,
    most_trainings,
    with_weights,
)
from search.studies.followups.refused import FollowUpRefused
from search.studies.followups.weights import given_weights
from storage.predictions import SplitPredictions

IMAGES, SEEDS = 200, 3


def plan() -> ConfirmPlan:
    """Of two trials and the baseline."""
    asked = AskedToConfirm(baseline=PRETRAINED, seeds=SEEDS, backbone="resnet18")
    trials = [Candidate(f"trial {each}", each, 0.9, {"optimizer": "sgd"}) for each in (4, 7)]
    reference = Candidate(PRETRAINED, None, None, {BACKBONE: "resnet18"})
    made = ConfirmPlan(
        asked.to_document(), SEEDS, True, (*trials, reference), PRETRAINED, 9, searched_best=4
    )
    return with_weights(made, "f" * 64)


def answered(right: int) -> SplitPredictions:
    """So many right answers, the first ones, of images of two classes."""
    labels = np.arange(IMAGES, dtype=np.uint16) % 2
    classes = np.where(np.arange(IMAGES) < right, labels, 1 - labels).astype(np.uint16)
    return SplitPredictions("validation", "s", labels, classes, np.full(IMAGES, 0.5, np.float16))


def test_what_is_best_is_said_of_the_search_however_good_the_baseline_is() -> None:
    made = plan()
    assert made.pretrained is not None
    assert made.pretrained.values == {BACKBONE: "resnet18", WEIGHTS: "f" * 64}
    stage = first_stage(made, seed=1, number=1)
    assert len(stage) == 3 * SEEDS
    assert most_trainings(made) == 4 * SEEDS
    # The regressions are kept for the test split, which is read later.
    assert [each.arm for each in stage if each.keeps_model] == [PRETRAINED] * SEEDS
    right = {"trial 4": 120, "trial 7": 150, PRETRAINED: IMAGES}
    judged = [
        Judged(slot, each, None, answered(right[each.arm] + each.seed_index % 2), None)
        for slot, each in enumerate(stage)
    ]
    found = choose(made, "accuracy", judged)
    assert (found.may_be_best, found.choice) == (("trial 7",), "trial 7")
    assert float(found.runs[PRETRAINED].values.mean()) == 1.0


def test_what_earlier_plans_were_asked_for_is_spelt_as_it_was() -> None:
    asked = AskedToConfirm(baseline="neutral", backbone="resnet18").to_document()
    assert set(asked) == {"top", "trials", "baseline", "seeds", "reads_test"}


def test_weights_go_with_that_baseline_alone_and_the_network_has_a_name() -> None:
    assert given_weights("neutral", None, None) is None
    usual = given_weights(PRETRAINED, None, None)
    assert usual is not None
    assert (usual.backbone, usual.sha256) == ("resnet18", None)
    with pytest.raises(FollowUpRefused, match="did you mean resnet18"):
        given_weights(PRETRAINED, "resnet19", None)
    with pytest.raises(FollowUpRefused, match="--backbone goes with --baseline pretrained alone"):
        given_weights(None, "resnet18", None)
