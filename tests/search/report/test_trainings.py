"""While a follow-up is trained, the terminal says what each training is for and what is known."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from search.report.live import Screen
from search.report.trainings import purpose_of
from search.spec.follow_up import (
    AblatedArm,
    AblatePlan,
    Candidate,
    ConfirmPlan,
    PlannedTraining,
    Purpose,
    RefitPlan,
    ReproducePlan,
)
from search.worker.events import (
    Event,
    FollowUpTraining,
    Running,
    StudyOpened,
    TrialFinished,
    TrialOutcome,
    TrialStarted,
)
from storage.activity import RunningTrial
from storage.direction import Direction
from storage.studies import FollowUp

VALUES = {"optimizer": "sgd", "sgd.learning_rate": 0.0125}
TRIALS = {number: Candidate(f"trial {number}", number, 0.98, VALUES) for number in (0, 9, 16)}
CONFIRM = ConfirmPlan({}, 2, True, tuple(TRIALS.values()), "trial 0", 12, 16)
ABLATE = AblatePlan(
    {},
    (3, 5),
    (-2.0, 2.0),
    TRIALS[9],
    "sgd.learning_rate",
    (AblatedArm("dropout", False, "0.1", VALUES), AblatedArm("l1", True, "1e-05", VALUES)),
    (),
)
PLANS = {
    "confirm": CONFIRM,
    "ablate": ABLATE,
    "reproduce": ReproducePlan({}, TRIALS[9], 2, 1),
    "refit": RefitPlan({}, TRIALS[9]),
}


def of(
    kind: str, arm: str, purpose: Purpose = "judge", seed: int = 0, metric: str = "accuracy"
) -> FollowUpTraining:
    follow_up = FollowUp(1, "s", kind, 1, PLANS[kind].to_json())
    return FollowUpTraining(follow_up, metric, PlannedTraining(arm, purpose, seed, 7, VALUES))


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (of("confirm", "trial 9", seed=2), "trial 9, seed 3"),
        (of("confirm", "trial 0"), "baseline trial 0, seed 1"),
        (of("confirm", "trial 9", "test", 5), "trial 9, seed 6, for the test split"),
        (of("ablate", "reference", "tune"), "trial 9 at learning rate 0.0125"),
        (of("ablate", "dropout"), "without dropout, seed 1"),
        (of("ablate", "l1", seed=1), "with l1, seed 2"),
        (of("reproduce", "again"), "trial 9 under its own seed"),
        (of("reproduce", "fresh", seed=1), "trial 9 afresh, seed 2"),
        (of("refit", "refit", "refit"), "trial 9 on training and validation images"),
    ],
)
def test_what_a_training_is_for_is_said(training: FollowUpTraining, said: str) -> None:
    assert purpose_of(training) == said


def test_a_neutral_baseline_is_called_one() -> None:
    neutral = Candidate("neutral", None, None, VALUES)
    plan = replace(CONFIRM, candidates=(TRIALS[9], neutral), baseline="neutral")
    training = FollowUpTraining(
        FollowUp(1, "s", "confirm", 1, plan.to_json()),
        "accuracy",
        PlannedTraining("neutral", "tune", 0, 7, VALUES),
    )
    assert purpose_of(training) == "neutral baseline at learning rate 0.0125"


def ended(
    number: int,
    training: FollowUpTraining,
    value: float | None,
    outcome: TrialOutcome = "complete",
    reason: str | None = None,
) -> TrialFinished:
    return TrialFinished("s:confirm:1", number, 1, outcome, value, 3, {}, reason, training)


def opened(kind: str, *trained: tuple[FollowUpTraining, float | None]) -> StudyOpened:
    follow_up = FollowUp(1, "s", kind, 1, PLANS[kind].to_json())
    return StudyOpened(len(trained), 4, 0.5, Direction.UP, trained, follow_up)


def lines(*events: Event) -> list[str]:
    console = Console(file=StringIO(), width=200)
    with Screen(console) as screen:
        for event in events:
            screen.tell(event)
    assert isinstance(console.file, StringIO)
    # How long it takes is the clock's.
    return [line.replace(", 0s to go", "") for line in console.file.getvalue().splitlines()]


def test_each_line_says_what_was_trained_and_what_is_known_so_far() -> None:
    nine, sixteen = of("confirm", "trial 9"), of("confirm", "trial 16")
    assert lines(
        opened("confirm", (nine, 0.98)),
        ended(1, sixteen, 0.97),
        ended(2, sixteen, None, "failed", "RuntimeError: boom"),
        ended(3, sixteen, 0.975),
        ended(4, nine, None, "pruned", "diverged: the loss is not finite after epoch 1"),
    ) == [
        "trial 16, seed 1: accuracy 97.00 % [2/4] so far 97.00 of 1 seed;"
        " best: trial 9, 98.00 of 1 seed",
        "trial 16, seed 1: failed (RuntimeError: boom) [2/4] so far 97.00 of 1 seed;"
        " best: trial 9, 98.00 of 1 seed",
        "trial 16, seed 1: accuracy 97.50 % [3/4] so far 97.25 of 2 seeds;"
        " best: trial 9, 98.00 of 1 seed",
        "trial 9, seed 1: pruned (diverged: the loss is not finite after epoch 1) [4/4]"
        " so far 98.00 of 1 seed, 1 diverged",
    ]


def test_an_ablation_is_told_beside_its_reference() -> None:
    reference, without = of("ablate", "reference"), of("ablate", "dropout")
    assert lines(
        opened("ablate"),
        ended(0, of("ablate", "reference", "tune"), 0.99),
        ended(1, reference, 0.97),
        ended(2, without, 0.98),
        TrialStarted("s:ablate:1", 3, 1, VALUES, 0, without, 3),
        ended(3, without, 0.96),
    ) == [
        "trial 9 at learning rate 0.0125: accuracy 99.00 % [1/4]",
        "trial 9, seed 1: accuracy 97.00 % [2/4] so far 97.00 of 1 seed",
        "without dropout, seed 1: accuracy 98.00 % [3/4] so far 98.00 of 1 seed;"
        " trial 9, 97.00 of 1 seed",
        # It was found meanwhile to take fewer.
        "without dropout, seed 1: accuracy 96.00 % [4/3] so far 97.00 of 2 seeds;"
        " trial 9, 97.00 of 1 seed",
    ]


def test_what_is_known_of_a_reproduction_is_the_record() -> None:
    again, fresh = of("reproduce", "again"), of("reproduce", "fresh", seed=1)
    assert lines(opened("reproduce"), ended(0, again, 0.97), ended(1, fresh, 0.98)) == [
        "trial 9 under its own seed: accuracy 97.00 % [1/4] recorded 98.00",
        "trial 9 afresh, seed 2: accuracy 98.00 % [2/4] so far 98.00 of 1 seed",
    ]


def test_a_training_for_the_test_split_is_told_by_the_validation_images() -> None:
    training = of("confirm", "trial 9", "test", 5)
    assert lines(opened("confirm"), ended(0, training, 0.97)) == [
        "trial 9, seed 6, for the test split: accuracy 97.00 % on the validation images [1/4]"
    ]


def test_whoever_serves_many_studies_says_of_which_and_what_for() -> None:
    loss = of("confirm", "trial 9", metric="loss")
    assert lines(ended(1, loss, 0.07131)) == ["study s:confirm:1: trial 9, seed 1: loss 0.0713"]


def test_a_terminal_shows_what_runs_and_how_each_configuration_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    nine, sixteen = of("confirm", "trial 9"), of("confirm", "trial 16", seed=1)
    console = Console(file=StringIO(), force_terminal=True, width=90, color_system=None)
    with Screen(console) as screen:
        screen.tell(opened("confirm", (sixteen, 0.9725)))
        screen.tell(ended(1, nine, 0.98))
        running = (RunningTrial(2, "0123456789", "host", "cpu", 1, 0.0),)
        screen.tell(Running(running, {2: sixteen}, 5))
    assert isinstance(console.file, StringIO)
    # What is drawn last stays.
    shown = [line.strip() for line in console.file.getvalue().split("trainings")[-1].splitlines()]
    assert "2/5" in shown[0]
    assert shown[1:4] == [
        "trial 16, seed 2: epoch 1, worker 01234567 on host",
        "trial 9: 98.00 of 1 seed",
        "trial 16: 97.25 of 1 seed",
    ]
