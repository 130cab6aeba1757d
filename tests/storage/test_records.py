"""What is read of studies: as much as is asked for."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import optuna
import pytest
from optuna.storages import RDBStorage

from objectives.hyperparameters import SGD, Hyperparameters
from objectives.synthetic import synthetic_curve
from search.analysis.ranking import incumbent
from search.studies.this_worker import this_worker
from storage.direction import Direction
from storage.engine import Database, open_for_work
from storage.hosts import this_host
from storage.leases.taking import TrialLeases
from storage.records import read_best, read_ended, read_incumbent, read_trials
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study

FIRST = next(iter(synthetic_curve(Hyperparameters(SGD(0.1)), epochs=1, seed=0)))


@pytest.fixture
def opened(shared_url: str) -> Iterator[tuple[Database, RDBStorage, StoredStudy]]:
    """A database with a study of ten trials, of which none has begun."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(shared_url)
    name = f"s{uuid.uuid4().hex[:12]}"
    with database:
        create_study(
            database,
            rdb,
            name=name,
            metric="accuracy",
            direction=Direction.UP,
            definition="{}",
            definition_hash="0",
            budget=Budget(10),
        )
        yield database, rdb, find_study(database, name)


def test_of_equal_values_the_best_trial_is_that_of_the_lowest_loss_and_then_number(
    opened: tuple[Database, RDBStorage, StoredStudy],
) -> None:
    database, rdb, stored = opened
    assert read_incumbent(database, stored.study_id, Direction.UP) is None
    assert read_best(database, stored.study_id, Direction.UP) is None
    leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
    for value, loss in ((0.5, 0.1), (0.7, 2.0), (0.7, 1.5), (0.7, 1.5), (0.2, 9.0)):
        held = leases.acquire(stored)
        leases.report(held, replace(FIRST, validation_loss=loss), value)
        leases.finish(held, "complete", value=value)
    # One of plain Optuna has no epochs: its loss is not known.
    study = optuna.load_study(study_name=stored.name, storage=rdb)
    study.add_trial(optuna.trial.create_trial(value=0.7))
    study.add_trial(optuna.trial.create_trial(value=0.2))
    failed = leases.acquire(stored)
    leases.finish(failed, "failed", reason="broken")
    running = leases.acquire(stored)
    trials = read_trials(database, stored.study_id)
    for direction, number in ((Direction.UP, 2), (Direction.DOWN, 4)):
        found = read_incumbent(database, stored.study_id, direction)
        assert found == incumbent(trials, direction) == trials[number]
    assert read_best(database, stored.study_id, Direction.UP) == (0.7, 1.5)
    assert read_ended(database, stored.study_id) == set(range(failed.number + 1))
    assert read_trials(database, stored.study_id, [running.number, 3]) == [
        trials[3],
        trials[running.number],
    ]


def test_a_best_trial_without_epochs_has_an_infinite_loss(
    opened: tuple[Database, RDBStorage, StoredStudy],
) -> None:
    database, rdb, stored = opened
    study = optuna.load_study(study_name=stored.name, storage=rdb)
    study.add_trial(optuna.trial.create_trial(value=0.7))
    assert read_best(database, stored.study_id, Direction.UP) == (0.7, float("inf"))
