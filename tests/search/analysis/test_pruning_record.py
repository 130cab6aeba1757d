"""What stopping trials saved, and what the audits say that it may have cost."""

from dataclasses import replace

import pytest
from scipy.stats import beta

from search.analysis.pruning import PruningRecord, pruning_record, upper_bound
from search.report.findings import pruning_text
from storage.direction import Direction
from storage.records import EpochRecord, TrialRecord, TrialState


@pytest.mark.parametrize(
    ("successes", "trials"),
    [(0, 1), (0, 20), (1, 20), (7, 20), (19, 20), (20, 20), (3, 400), (0, 5000)],
)
def test_the_bound_is_that_of_clopper_and_pearson(successes: int, trials: int) -> None:
    expected = 1.0 if successes == trials else beta.ppf(0.95, successes + 1, trials - successes)
    assert upper_bound(successes, trials) == pytest.approx(expected, abs=1e-12)


def test_without_audits_nothing_is_known() -> None:
    assert upper_bound(0, 0) == 1.0


def record(
    number: int,
    state: TrialState,
    value: float | None,
    epochs: int,
    due: int | None = None,
    cause: str | None = None,
) -> TrialRecord:
    each = [
        EpochRecord(
            epoch=epoch,
            train_loss=1.0,
            train_accuracy=0.5,
            validation_loss=1.0,
            validation_accuracy=0.5,
            validation_balanced_accuracy=0.5,
            validation_macro_f1=0.5,
            learning_rate=0.1,
            near_zero_share=0.0,
            seconds=2.0,
            images_per_second=100.0,
            train_eval_loss=None,
        )
        for epoch in range(1, epochs + 1)
    ]
    trial = TrialRecord(number, state, value, (), {}, tuple(each), 1, "cpu", 1, None, 0, 1, due)
    return replace(trial, cause=cause)


TRIALS = [
    record(0, "complete", 0.90, 8),
    record(1, "pruned", 0.30, 2, due=2, cause="pruner"),
    record(2, "pruned", 0.60, 6, due=6, cause="pruner"),
    # The audited trial is better than all that were never due.
    record(3, "complete", 0.95, 8, due=2),
    record(4, "complete", 0.40, 8, due=2),
    record(5, "pruned", None, 4, due=2, cause="diverged"),
    # A trial that the end of the study cut short says nothing.
    record(6, "pruned", 0.70, 5, due=2, cause="study ended"),
    record(7, "pruned", None, 1, cause="diverged"),
    record(8, "failed", None, 3, due=2, cause="error"),
    record(9, "running", None, 3, due=2),
]


def test_what_pruning_saved_and_may_have_cost() -> None:
    found = pruning_record(TRIALS, "asha", 8, Direction.UP)
    assert found == PruningRecord(
        "asha", 2, 8 + 2 + 6 + 8 + 8 + 4 + 5 + 1, 6 + 2, 16.0, audited=3, better=1
    )
    assert found.share_saved == 8 / 50
    assert found.bound == pytest.approx(0.8646, abs=1e-4)
    assert pruning_record(TRIALS, "asha", 8, Direction.DOWN).better == 1


def test_few_audits_are_said_to_say_little() -> None:
    assert (
        pruning_text(pruning_record(TRIALS, "asha", 8, Direction.UP), 999)
        == "pruning (asha): 2 trials were stopped, which saved 8 of 50 epochs (16 %)\naudits: of 3"
        " that were due to be stopped and ran to their end, 1 ended better than the best of all"
        " others; with fewer than 20 audits that says little of the stopped ones"
    )
    assert (
        pruning_text(PruningRecord("asha", 200, 900, 1100, 0.0, audited=20, better=0), 999)
        == "pruning (asha): 200 trials were stopped, which saved 1100 of 2000 epochs (55"
        " %)\naudits: of 20 that were due to be stopped and ran to their end, 0 ended better"
        " than the best of all others: at most 14 % of the stopped ones would have (95 %"
        " confidence)"
    )
    assert pruning_text(PruningRecord("median", 0, 80, 0, 0.0, 0, 0), 999).endswith(
        "what it cost is unknown"
    )
