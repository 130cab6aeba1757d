"""The loop of one worker: what each way to end is recorded as."""

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import get_storage

from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Measurement
from objectives.synthetic import synthetic_curve
from search.document import Document
from search.objective import Objective, Train
from search.study import Request, join
from search.worker import Event, TrialFinished, TrialStarted, work
from storage.engine import open_for_work
from storage.records import TrialRecord, read_trials
from storage.studies import find_study

Result = tuple[list[Event], list[TrialRecord], str | None]


def run(tmp_path: Path, document: Document, train: Train, stop_after: float = math.inf) -> Result:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database:
        optunas = get_storage(rdb)
        joined = join(database, optunas, Request(document, {}, "test"))
        events: list[Event] = []
        with closing(work(database, optunas, joined, Objective(train, "cpu", 1), "here")) as stream:
            for event in stream:
                events.append(event)
                if len(events) >= stop_after:
                    break
        stored = find_study(database, joined.stored.name)
        return events, read_trials(database, stored.study_id), stored.end_reason


def curve(hyperparameters: Hyperparameters, seed: int) -> Iterator[Measurement]:
    return synthetic_curve(hyperparameters, 8, seed)


def study(trials: int, **more: str | float) -> Document:
    return {"study": {"name": "s", "trials": trials, "pruner": "none", **more}, "data": {"dataset": "synthetic"}}


def test_a_trial_that_raises_is_failed_with_its_reason_and_uses_up_no_budget(tmp_path: Path) -> None:
    calls: list[int] = []

    def flaky(hyperparameters: Hyperparameters, seed: int) -> Iterator[Measurement]:
        calls.append(seed)
        if len(calls) == 2:
            raise MemoryError("not enough of it\nand a second line")
        return curve(hyperparameters, seed)

    _, trials, reason = run(tmp_path, study(3), flaky)
    assert [(trial.state, trial.reason) for trial in trials] == [
        ("complete", None),
        ("failed", "MemoryError: not enough of it"),
        ("complete", None),
        ("complete", None),
    ]
    assert reason == "trials"
    assert len(set(calls)) == 4  # each trial has a seed of its own


def test_a_target_ends_the_study(tmp_path: Path) -> None:
    _, trials, reason = run(tmp_path, study(50, target=0.5), curve)
    assert reason == "target"
    assert trials[-1].value is not None
    assert trials[-1].value >= 0.5
    assert all(trial.value is not None and trial.value < 0.5 for trial in trials[:-1])


def test_a_timeout_stops_the_running_trial_within_an_epoch(tmp_path: Path) -> None:
    _, trials, reason = run(tmp_path, study(50, timeout=1e-3), curve)
    assert reason == "timeout"
    assert [(trial.state, trial.reason, len(trial.epochs)) for trial in trials] == [("pruned", "the study ended", 1)]


def test_configurations_to_run_first_are_run_first(tmp_path: Path) -> None:
    document = study(3)
    document["trial"] = [{"optimizer": "sgd", "sgd.learning_rate": 0.1, "dropout": False}, {"optimizer": "adamw"}]
    _, trials, _ = run(tmp_path, document, curve)
    assert trials[0].parameters["sgd.learning_rate"] == 0.1
    assert trials[0].parameters["dropout.on"] is False
    assert trials[1].parameters["optimizer"] == "adamw"


def test_a_trial_that_was_handed_back_goes_on_under_its_number_and_parameters(tmp_path: Path) -> None:
    first, _, _ = run(tmp_path, study(2), curve, stop_after=4)  # in the middle of trial 0
    second, trials, _ = run(tmp_path, study(2), curve)
    started = [event for event in (first[0], second[0]) if isinstance(event, TrialStarted)]
    assert [(event.number, event.attempt) for event in started] == [(0, 1), (0, 2)]
    assert started[0].parameters == started[1].parameters
    undisturbed, _, _ = run(tmp_path / "..", {**study(2), "study": {**study(2)["study"], "name": "u"}}, curve)
    values = [event.value for event in undisturbed if isinstance(event, TrialFinished)]
    assert [trial.value for trial in trials] == values
    assert [len(trial.epochs) for trial in trials] == [8, 8]


@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_pruned_trials_count_and_keep_the_value_of_their_last_epoch(tmp_path: Path, pruner: str) -> None:
    _, trials, _ = run(tmp_path, study(20, pruner=pruner), curve)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert len(trials) == 20
    assert [trial.value for trial in pruned] == [trial.epochs[-1].validation_accuracy for trial in pruned]
    assert all(trial.reason == f"by {pruner}" for trial in pruned)
