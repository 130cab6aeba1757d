"""All trials of a study are trained on the same data, on every kind of database, unless the user
lets it change.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from sqlalchemy import select

from objectives.hyperparameters import SGD, Hyperparameters
from objectives.synthetic import synthetic_curve
from storage import schema
from storage.computing import Computing
from storage.engine import Database, open_for_work
from storage.errors import OtherData
from storage.hosts import process_start
from storage.leases.lease import Lease, Worker
from storage.leases.recording import BARREN_CAP
from storage.leases.taking import NothingToTake, TrialLeases
from storage.records import read_trials
from storage.schema import DUE_KEY
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study, raise_budget, stop_study
from storage.study_data import DataChange, TrainingData

MEASUREMENTS = list(synthetic_curve(Hyperparameters(SGD(0.1)), epochs=3, seed=0))
OLD = TrainingData("images:photos", "a" * 64, "[]")
NEW = TrainingData("images:photos", "b" * 64, '[{"kind": "I;16", "low": 0.0, "high": 4095.0}]')
NEW_ACCEPTED = TrainingData(NEW.name, NEW.fingerprint, NEW.pixel_scales, instead_of=OLD.fingerprint)


@dataclass
class Opened:
    """A database, and a study of two trials there."""

    database: Database
    rdb: RDBStorage
    stored: StoredStudy

    def leases(self, pid: int | None = None) -> TrialLeases:
        """Those of another worker; that of a `pid` which no process has is dead."""
        started = process_start(os.getpid())
        me = Worker(
            uuid.uuid4().hex, "h", "h", pid or os.getpid(), started, "cpu", Computing(1, 64)
        )
        return TrialLeases(self.database, self.rdb, me)

    def recorded(self) -> tuple[str | None, str | None]:
        query = select(schema.study.c.data_fingerprint, schema.study.c.pixel_scales)
        with self.database.transactions.read() as connection:
            row = connection.execute(
                query.where(schema.study.c.study_id == self.stored.study_id)
            ).one()
        return row.data_fingerprint, row.pixel_scales

    def trained_on(self) -> list[tuple[int, str | None]]:
        trials = read_trials(self.database, self.stored.study_id)
        return [(trial.number, trial.data_fingerprint) for trial in trials]


@pytest.fixture
def opened(shared_url: str) -> Iterator[Opened]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(shared_url)
    name = f"s{uuid.uuid4().hex[:12]}"
    with database:
        make_study(database, rdb, name)
        yield Opened(database, rdb, find_study(database, name))


def make_study(database: Database, rdb: RDBStorage, name: str, folder: str | None = None) -> None:
    create_study(
        database,
        rdb,
        name=name,
        metric="accuracy",
        direction="maximize",
        definition="{}",
        definition_hash="0",
        budget=Budget(2),
        data_folder=folder,
    )


def refusal(opened: Opened, has: str = "aaaaaaaaaaaa", found: str = "bbbbbbbbbbbb") -> str:
    return (
        f"study {opened.stored.name!r} is on other data than images:photos (fingerprint {has}, not"
        f" {found}): restore it, say where it lies with --data-map STORED=HERE or --data-root DIR,"
        " or go on with this by --accept-data"
    )


def begun_on_old_data(opened: Opened) -> Lease:
    """A trial that was handed back after two epochs, the second of which said that it is due to be
    stopped.
    """
    leases = opened.leases()
    held = leases.acquire(opened.stored, data=OLD)
    leases.record_parameters(held, {"dropout": 0.5}, {"dropout": FloatDistribution(0, 1)})
    leases.report(held, MEASUREMENTS[0], 0.5)
    leases.report(held, MEASUREMENTS[1], 0.25, None, {DUE_KEY: "2"})
    leases.hand_back(held)
    return held


def test_the_first_trial_records_what_it_is_trained_on_and_the_next_ones_are_trained_on_the_same(
    opened: Opened,
) -> None:
    assert opened.recorded() == (None, None)
    held = [
        opened.leases().acquire(opened.stored, data=NEW),
        opened.leases().acquire(opened.stored, data=NEW),
    ]
    assert [lease.data_change for lease in held] == [None, None]
    assert opened.recorded() == (NEW.fingerprint, NEW.pixel_scales)
    assert opened.trained_on() == [(0, NEW.fingerprint), (1, NEW.fingerprint)]
    assert find_study(opened.database, opened.stored.name).data_fingerprint == NEW.fingerprint


def test_other_data_is_refused_and_changes_nothing(opened: Opened) -> None:
    opened.leases().acquire(opened.stored, data=OLD)
    with pytest.raises(OtherData) as refused:
        opened.leases().acquire(opened.stored, data=NEW)
    assert str(refused.value) == refusal(opened)
    assert opened.recorded() == (OLD.fingerprint, OLD.pixel_scales)
    assert opened.trained_on() == [(0, OLD.fingerprint)]


def test_a_trial_that_was_begun_on_other_data_is_left_to_those_who_have_them(
    opened: Opened,
) -> None:
    held = begun_on_old_data(opened)
    with pytest.raises(OtherData, match=r"not bbbbbbbbbbbb\)"):
        opened.leases().acquire(opened.stored, data=NEW)
    again = opened.leases().acquire(opened.stored, data=OLD)
    assert (again.number, again.attempt, again.data_change) == (held.number, 2, None)
    (trial,) = read_trials(opened.database, opened.stored.study_id)
    assert (len(trial.epochs), trial.due_epoch, trial.attempts) == (2, 2, 2)


def test_data_that_the_user_accepts_take_the_place_of_the_others_which_are_refused_from_then_on(
    opened: Opened,
) -> None:
    old = opened.leases()
    first = old.acquire(opened.stored, data=OLD)
    second = opened.leases().acquire(opened.stored, data=NEW_ACCEPTED)
    assert second.data_change == DataChange(before=OLD.fingerprint)
    assert opened.recorded() == (NEW.fingerprint, NEW.pixel_scales)
    # The trial that is under way is not lost.
    old.report(first, MEASUREMENTS[0], 0.5)
    old.finish(first, "failed", reason="boom")
    with pytest.raises(OtherData) as refused:
        old.acquire(opened.stored, data=OLD)
    assert str(refused.value) == refusal(opened, "bbbbbbbbbbbb", "aaaaaaaaaaaa")
    assert opened.leases().acquire(opened.stored, data=NEW_ACCEPTED).data_change is None
    assert opened.trained_on() == [(0, OLD.fingerprint), (1, NEW.fingerprint), (2, NEW.fingerprint)]


def test_of_two_who_accept_different_data_the_second_is_refused(opened: Opened) -> None:
    opened.leases().acquire(opened.stored, data=OLD)
    opened.leases().acquire(opened.stored, data=NEW_ACCEPTED)
    third = TrainingData("images:photos", "c" * 64, "[]", instead_of=OLD.fingerprint)
    raise_budget(opened.database, opened.stored, Budget(9))
    with pytest.raises(OtherData) as refused:
        opened.leases().acquire(opened.stored, data=third)
    assert str(refused.value) == refusal(opened, "bbbbbbbbbbbb", "cccccccccccc")


def test_nothing_of_a_trial_that_was_begun_on_other_data_counts_but_its_number_and_parameters(
    opened: Opened,
) -> None:
    held = begun_on_old_data(opened)
    taken = opened.leases().acquire(opened.stored, data=NEW_ACCEPTED)
    assert (taken.number, taken.attempt, taken.data_change) == (
        held.number,
        2,
        DataChange(before=OLD.fingerprint),
    )
    (trial,) = read_trials(opened.database, opened.stored.study_id)
    assert (trial.epochs, trial.due_epoch, trial.parameters) == ((), None, {"dropout": 0.5})
    assert trial.data_fingerprint == NEW.fingerprint
    optunas = opened.rdb.get_trial(held.trial_id)
    assert (optunas.intermediate_values, optunas.system_attrs) == ({}, {})


def test_workers_that_died_in_a_trial_on_other_data_are_not_held_against_it(opened: Opened) -> None:
    no_process = 2**22 + 1
    for _ in range(BARREN_CAP):
        held = opened.leases(no_process).acquire(opened.stored, data=OLD)
    taken = opened.leases().acquire(opened.stored, data=OLD)
    assert (held.number, taken.number) == (0, 0)
    assert opened.leases().times_lost(taken) == BARREN_CAP
    opened.leases().hand_back(taken)
    taken = opened.leases().acquire(opened.stored, data=NEW_ACCEPTED)
    assert (taken.number, opened.leases().times_lost(taken)) == (0, None)


def test_a_study_from_before_takes_what_its_next_trial_is_trained_on(opened: Opened) -> None:
    leases = opened.leases()
    leases.finish(leases.acquire(opened.stored), "complete", value=0.5)
    held = leases.acquire(opened.stored)
    leases.report(held, MEASUREMENTS[0], 0.5)
    leases.hand_back(held)
    taken = leases.acquire(opened.stored, data=NEW)
    assert (taken.number, taken.data_change) == (1, DataChange(before=None))
    assert opened.recorded() == (NEW.fingerprint, NEW.pixel_scales)
    assert opened.trained_on() == [(0, None), (1, NEW.fingerprint)]
    trials = read_trials(opened.database, opened.stored.study_id)
    # Nobody knows what its first epoch was trained on.
    assert trials[1].epochs == ()
    leases.finish(taken, "failed", reason="boom")
    assert leases.acquire(opened.stored, data=NEW).data_change is None


def test_whoever_ends_the_trials_of_an_ended_study_needs_no_data_and_keeps_what_is_recorded(
    opened: Opened,
) -> None:
    begun_on_old_data(opened)
    stop_study(opened.database, opened.stored)
    assert opened.leases().settle(opened.stored) == 0
    (trial,) = read_trials(opened.database, opened.stored.study_id)
    assert (trial.state, trial.value, len(trial.epochs)) == ("pruned", 0.25, 2)
    assert trial.data_fingerprint == OLD.fingerprint
    with pytest.raises(NothingToTake, match="ended; 0 are leased"):
        opened.leases().acquire(opened.stored, data=NEW)


def test_a_study_without_room_is_not_compared_with_anything(opened: Opened) -> None:
    for _ in range(2):
        opened.leases().acquire(opened.stored, data=OLD)
    with pytest.raises(NothingToTake, match="open; 2 are leased"):
        opened.leases().acquire(opened.stored, data=NEW)


def test_of_two_who_take_the_first_trial_at_once_with_different_data_one_is_refused(
    opened: Opened,
) -> None:
    found: list[str] = []
    ready = threading.Barrier(2)

    def take(data: TrainingData) -> None:
        leases = opened.leases()
        ready.wait()
        try:
            leases.acquire(opened.stored, data=data)
            found.append(data.fingerprint)
        except OtherData:
            found.append("refused")

    threads = [threading.Thread(target=take, args=(data,)) for data in (OLD, NEW)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (taken,) = (each for each in found if each != "refused")
    assert sorted(found) == sorted([taken, "refused"])
    assert opened.recorded()[0] == taken
    assert opened.trained_on() == [(0, taken)]


@pytest.mark.parametrize(
    "folder", ["/home/me/photos", "/home/나/사진 😀", "/home/\udcff/a\\b\n", "/a\0b", None]
)
def test_every_database_keeps_a_folder_whatever_it_is_called(
    folder: str | None, opened: Opened
) -> None:
    name = f"s{uuid.uuid4().hex[:12]}"
    make_study(opened.database, opened.rdb, name, folder)
    assert find_study(opened.database, name).data_folder == folder
