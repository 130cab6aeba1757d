"""The exact budget, taking over from the dead, and the fence, on a real database."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import psutil
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from optuna.distributions import FloatDistribution
from optuna.storages import get_storage
from optuna.trial import TrialState
from sqlalchemy import select

from objectives.hyperparameters import SGD, Hyperparameters
from objectives.synthetic import synthetic_curve
from storage import schema
from storage.engine import Database, now_ms, open_database, open_for_work
from storage.errors import LeaseLost, StorageUnavailable
from storage.leased import LeasedStorage
from storage.leases import NothingToTake, TrialLeases, Worker
from storage.records import read_running, read_trials
from storage.studies import Budget, StoredStudy, create_study, find_study, raise_budget

MEASUREMENTS = list(synthetic_curve(Hyperparameters(SGD(0.1)), epochs=3, seed=0))


def worker(name: str, pid: int | None = None) -> Worker:
    process = psutil.Process(pid or os.getpid())
    return Worker(name, "here", process.pid, process.create_time(), "cpu", 1)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Database, optuna.storages.BaseStorage]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(f"sqlite:///{tmp_path}/a.db")
    with database:
        yield database, get_storage(rdb)


def make_study(database: Database, optunas: optuna.storages.BaseStorage, trials: int = 2) -> StoredStudy:
    create_study(
        database,
        optunas,
        name="s",
        metric="accuracy",
        direction="maximize",
        definition="{}",
        definition_hash="0",
        budget=Budget(trials),
    )
    return find_study(database, "s")


Opened = tuple[Database, optuna.storages.BaseStorage]


def test_leased_and_finished_trials_together_never_exceed_the_budget(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas).study_id
    leases = TrialLeases(database, optunas, worker("a"))
    held = [leases.acquire(study_id), leases.acquire(study_id)]
    with pytest.raises(NothingToTake) as full:
        leases.acquire(study_id)
    assert full.value.state == "open"
    leases.finish(held[0], "failed", reason="boom")
    held[0] = leases.acquire(study_id)  # a failed trial gives its place back
    assert [lease.number for lease in held] == [2, 1]
    assert [leases.finish(lease, "complete", value=0.5) for lease in held] == ["open", "ended"]
    with pytest.raises(NothingToTake) as ended:
        leases.acquire(study_id)
    assert ended.value.state == "ended"
    assert find_study(database, "s").end_reason == "trials"


def test_a_raised_budget_opens_an_ended_study(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas, trials=1).study_id
    leases = TrialLeases(database, optunas, worker("a"))
    leases.finish(leases.acquire(study_id), "complete", value=0.5)
    raise_budget(database, study_id, Budget(2))
    assert find_study(database, "s").state == "open"
    assert leases.acquire(study_id).number == 1


def test_a_stale_owner_changes_nothing(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas).study_id
    leases = TrialLeases(database, optunas, worker("a"))
    stale = leases.acquire(study_id)
    leases.hand_back(stale)
    held = TrialLeases(database, optunas, worker("b")).acquire(study_id)
    assert (held.number, held.attempt) == (stale.number, 2)
    storage = LeasedStorage(optunas, leases, stale)
    for write in (
        lambda: leases.report(stale, MEASUREMENTS[0], 0.5),
        lambda: leases.finish(stale, "complete", value=0.5),
        lambda: leases.record_parameters(stale, {"x": 0.5}, {"x": FloatDistribution(0, 1)}),
        lambda: storage.set_trial_user_attr(stale.trial_id, "a", 1),
        lambda: storage.set_trial_system_attr(stale.trial_id, "a", 1),
        lambda: storage.set_trial_intermediate_value(stale.trial_id, 1, 0.5),
        lambda: storage.set_trial_param(stale.trial_id, "x", 0.5, FloatDistribution(0, 1)),
        lambda: storage.set_trial_state_values(stale.trial_id, TrialState.COMPLETE, [0.5]),
    ):
        with pytest.raises(LeaseLost):
            write()
    trial = optunas.get_trial(stale.trial_id)
    assert (trial.state, trial.params, trial.user_attrs, trial.system_attrs, trial.intermediate_values) == (
        TrialState.RUNNING,
        {},
        {},
        {},
        {},
    )
    assert read_trials(database, study_id)[0].epochs == ()


def test_a_trial_of_a_dead_process_is_taken_up_and_one_of_a_living_is_not(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas).study_id
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    dying = TrialLeases(database, optunas, worker("dying", child.pid))
    held = dying.acquire(study_id)
    dying.report(held, MEASUREMENTS[0], 0.5)
    other = TrialLeases(database, optunas, worker("b"))
    assert other.acquire(study_id).number == 1
    with pytest.raises(NothingToTake):
        other.acquire(study_id)
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:  # not waited for by its parent: dead all the same
        time.sleep(0.01)
    taken = other.acquire(study_id)
    assert (taken.number, taken.attempt) == (0, 2)
    child.wait()
    record = read_trials(database, study_id)[0]
    assert (record.attempts, record.epochs) == (2, ())
    with database.transactions.read() as connection:
        outcomes = connection.execute(
            select(schema.attempt.c.owner, schema.attempt.c.outcome).where(schema.attempt.c.trial_id == held.trial_id)
        ).all()
    assert [tuple(row) for row in outcomes] == [("dying", "lost"), ("b", None)]


def test_a_trial_of_another_machine_is_left_alone(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas, trials=1).study_id
    TrialLeases(database, optunas, replace(worker("far"), host="elsewhere", pid=2**22 + 1)).acquire(study_id)
    with pytest.raises(NothingToTake):
        TrialLeases(database, optunas, worker("b")).acquire(study_id)
    assert [(trial.number, trial.worker) for trial in read_running(database, study_id)] == [(0, "far")]


def test_an_epoch_is_recorded_with_its_report_and_read_back_whole(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas).study_id
    leases = TrialLeases(database, optunas, worker("a"))
    held = leases.acquire(study_id)
    leases.record_parameters(held, {"x": 0.25}, {"x": FloatDistribution(0, 1)})
    for measurement in MEASUREMENTS:
        leases.report(held, measurement, measurement.validation_accuracy)
    leases.finish(held, "complete", value=MEASUREMENTS[-1].validation_accuracy)
    record = read_trials(database, study_id)[0]
    assert record.parameters == {"x": 0.25}
    assert [vars(epoch) for epoch in record.epochs] == [vars(measurement) for measurement in MEASUREMENTS]
    assert optunas.get_trial(held.trial_id).intermediate_values == {
        measurement.epoch: measurement.validation_accuracy for measurement in MEASUREMENTS
    }


@pytest.mark.parametrize(("finished", "failures"), [(0, 3), (1, 10)])
def test_failures_end_a_study_at_their_cap(finished: int, failures: int, opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas, trials=5).study_id
    leases = TrialLeases(database, optunas, worker("a"))
    for _ in range(finished):
        leases.finish(leases.acquire(study_id), "complete", value=0.5)
    states = [leases.finish(leases.acquire(study_id), "failed", reason="boom") for _ in range(failures)]
    assert states == ["open"] * (failures - 1) + ["ended"]
    assert find_study(database, "s").end_reason == "failures"


def test_deleting_a_study_with_foreign_keys_takes_our_rows_with_it(opened: Opened) -> None:
    database, optunas = opened
    study_id = make_study(database, optunas).study_id
    leases = TrialLeases(database, optunas, worker("a"))
    leases.report(leases.acquire(study_id), MEASUREMENTS[0], 0.5)
    with database.transactions.writing():
        optunas.delete_study(study_id)
    with database.transactions.read() as connection:
        assert [connection.execute(select(table)).all() for table in schema.OURS] == [[], [], [], []]


def test_a_study_of_plain_optuna_deleted_without_foreign_keys_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    for _ in range(2):
        database, rdb = open_for_work(url)
        with database:
            optunas = get_storage(rdb)
            study_id = make_study(database, optunas).study_id
            leases = TrialLeases(database, optunas, worker("a"))
            leases.report(leases.acquire(study_id), MEASUREMENTS[0], 0.5)
            assert [len(trial.epochs) for trial in read_trials(database, study_id)] == [1]
        optuna.delete_study(study_name="s", storage=url)


def test_the_migrations_make_the_tables_of_the_schema(opened: Opened) -> None:
    database, _ = opened
    ours = {table.name for table in schema.OURS}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": lambda item, name, kind, reflected, other: kind != "table" or name in ours},
        )
        assert compare_metadata(context, schema.metadata) == []


def test_the_databases_clock_is_utc_milliseconds(opened: Opened) -> None:
    database, _ = opened
    before = time.time() * 1000
    with database.transactions.read() as connection:
        now = connection.scalar(select(now_ms()))
    assert now is not None
    assert abs(now - before) < 5000


def test_eight_processes_open_an_empty_database_at_once(tmp_path: Path) -> None:
    code = f"from storage.engine import open_for_work; open_for_work('sqlite:///{tmp_path}/a.db')"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(8)]
    assert [(process.communicate(timeout=120)[1], process.returncode) for process in processes] == [(b"", 0)] * 8


def test_a_file_that_is_no_database_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("a letter to a friend, long enough to be no header of SQLite" * 20)
    with pytest.raises(StorageUnavailable, match="is not a database of hypersearch or Optuna"):
        open_database(f"sqlite:///{tmp_path}/a.db")
