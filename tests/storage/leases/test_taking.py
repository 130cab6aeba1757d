"""The exact budget, taking over from the dead, and the fence: one contract on every kind of
database.
"""

import math
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import optuna
import psutil
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage, get_storage
from optuna.trial import TrialState
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from objectives.checkpoint import SavedCheckpoint
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.synthetic import synthetic_curve
from storage import schema
from storage.activity import read_epoch_seconds, read_running, read_workers
from storage.computing import Computing
from storage.engine import Database, open_for_work
from storage.errors import LeaseLost, StudyDeleted, StudyEnded
from storage.hosts import process_start
from storage.leases.keeper import Keeper
from storage.leases.lease import Lease, LeaseTimes, Worker
from storage.leases.optuna_storage import LeasedStorage
from storage.leases.taking import NothingToTake, TrialLeases
from storage.leases.watch import Watch
from storage.records import read_checkpoints, read_study, read_trials
from storage.schema import DUE_KEY
from storage.studies import Budget, StoredStudy, find_study, first_failure
from storage.study_control import (
    create_study,
    delete_study,
    pause_study,
    raise_budget,
    resume_study,
    stop_study,
)

MEASUREMENTS = list(synthetic_curve(Hyperparameters(SGD(0.1)), epochs=3, seed=0))
# No process has this id.
FAR = 2**22 + 1


def worker(name: str, pid: int | None = None, machine: str = "here") -> Worker:
    pid = pid or os.getpid()
    return Worker(
        f"{name}-{uuid.uuid4().hex[:8]}",
        machine,
        machine,
        pid,
        process_start(pid),
        "cpu",
        Computing(1, 64),
    )


def far_away(name: str) -> Worker:
    return replace(worker(name), host="elsewhere", machine="elsewhere", pid=FAR)


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Opened:
    """A database, its study, and workers on it."""

    database: Database
    rdb: RDBStorage
    stored: StoredStudy

    def leases(self, me: Worker, watch: Watch | None = None) -> TrialLeases:
        return TrialLeases(self.database, self.rdb, me, watch=watch)

    def again(self) -> StoredStudy:
        return find_study(self.database, self.stored.name)

    def expire(self, held: Lease, by_ms: int = 0) -> None:
        """What the database's clock going on does to a lease."""
        with self.database.transactions.write() as connection:
            columns = schema.lease.c
            connection.execute(
                update(schema.lease)
                .where(columns.trial_id == held.trial_id)
                .values(expires_ms=by_ms)
            )

    def outcomes(self, held: Lease) -> list[tuple[str, str | None, str | None]]:
        columns = schema.attempt.c
        query = select(columns.owner, columns.outcome, columns.reason).where(
            columns.trial_id == held.trial_id
        )
        with self.database.transactions.read() as connection:
            rows = connection.execute(query.order_by(columns.attempt)).all()
        return [(row.owner.partition("-")[0], row.outcome, row.reason) for row in rows]


def make_study(
    database: Database, rdb: RDBStorage, trials: int = 2, name: str = "s"
) -> StoredStudy:
    create_study(
        database,
        rdb,
        name=name,
        metric="accuracy",
        direction="maximize",
        definition="{}",
        definition_hash="0",
        budget=Budget(trials),
    )
    return find_study(database, name)


@pytest.fixture
def opened(shared_url: str, request: pytest.FixtureRequest) -> Iterator[Opened]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(shared_url)
    with database:
        yield Opened(database, rdb, make_study(database, rdb, name=f"s{uuid.uuid4().hex[:12]}"))


def with_budget(opened: Opened, trials: int) -> None:
    raise_budget(opened.database, opened.stored, Budget(trials))


def test_leased_and_finished_trials_together_never_exceed_the_budget(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = [leases.acquire(opened.stored), opened.leases(worker("b")).acquire(opened.stored)]
    with pytest.raises(NothingToTake) as full:
        opened.leases(worker("c")).acquire(opened.stored)
    assert (full.value.state, full.value.leased) == ("open", 2)
    leases.finish(held[0], "failed", reason="boom")
    # A failed trial gives its place back.
    held[0] = leases.acquire(opened.stored)
    assert [lease.number for lease in held] == [2, 1]
    assert [leases.finish(lease, "complete", value=0.5) for lease in held] == ["open", "ended"]
    with pytest.raises(NothingToTake) as ended:
        leases.acquire(opened.stored)
    assert (ended.value.state, ended.value.leased) == ("ended", 0)
    assert opened.again().end_reason == "trials"


def test_a_raised_budget_opens_an_ended_study(opened: Opened) -> None:
    with_budget(opened, 1)
    leases = opened.leases(worker("a"))
    leases.finish(leases.acquire(opened.stored), "complete", value=0.5)
    assert opened.again().state == "ended"
    with_budget(opened, 2)
    assert opened.again().state == "open"
    assert leases.acquire(opened.stored).number == 1


def test_a_stale_owner_changes_nothing(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    stale = leases.acquire(opened.stored)
    leases.hand_back(stale)
    held = opened.leases(worker("b")).acquire(opened.stored)
    assert (held.number, held.attempt) == (stale.number, 2)
    storage = LeasedStorage(get_storage(opened.rdb), leases, stale)
    for write in (
        lambda: leases.report(stale, MEASUREMENTS[0], 0.5),
        lambda: leases.finish(stale, "complete", value=0.5),
        lambda: leases.record_parameters(stale, {"x": 0.5}, {"x": FloatDistribution(0, 1)}),
        lambda: leases.resume_at(stale, 0),
        lambda: storage.set_trial_user_attr(stale.trial_id, "a", 1),
        lambda: storage.set_trial_system_attr(stale.trial_id, "a", 1),
        lambda: storage.set_trial_intermediate_value(stale.trial_id, 1, 0.5),
        lambda: storage.set_trial_param(stale.trial_id, "x", 0.5, FloatDistribution(0, 1)),
        lambda: storage.set_trial_state_values(stale.trial_id, TrialState.COMPLETE, [0.5]),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert leases.beat(stale) is False
    assert leases.hand_back(stale) is False
    trial = opened.rdb.get_trial(stale.trial_id)
    assert (
        trial.state,
        trial.params,
        trial.user_attrs,
        trial.system_attrs,
        trial.intermediate_values,
    ) == (
        TrialState.RUNNING,
        {},
        {},
        {},
        {},
    )
    assert read_trials(opened.database, opened.stored.study_id)[0].epochs == ()
    assert opened.outcomes(stale) == [("a", "handed_back", None), ("b", None, None)]


def test_what_has_ended_never_changes(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    leases.report(held, MEASUREMENTS[0], 0.5)
    leases.finish(held, "complete", value=0.5)
    before = read_trials(opened.database, opened.stored.study_id)
    for write in (
        lambda: leases.report(held, MEASUREMENTS[1], 0.6),
        lambda: leases.finish(held, "pruned", value=0.6),
        lambda: leases.record_parameters(held, {"x": 0.5}, {"x": FloatDistribution(0, 1)}),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert read_trials(opened.database, opened.stored.study_id) == before


def test_a_trial_of_a_dead_process_is_taken_up_and_one_of_a_living_is_not(opened: Opened) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    dying = opened.leases(worker("dying", child.pid))
    held = dying.acquire(opened.stored)
    dying.report(held, MEASUREMENTS[0], 0.5)
    other = opened.leases(worker("b"))
    assert other.acquire(opened.stored).number == 1
    third = opened.leases(worker("c"))
    with pytest.raises(NothingToTake):
        third.acquire(opened.stored)
    child.kill()
    # A process that its parent does not wait for is dead all the same.
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    taken = third.acquire(opened.stored)
    assert (taken.number, taken.attempt) == (0, 2)
    child.wait()
    assert opened.outcomes(held) == [("dying", "lost", "its process is gone"), ("c", None, None)]


def test_a_trial_of_another_machine_is_taken_over_when_it_is_silent_and_not_before(
    opened: Opened,
) -> None:
    with_budget(opened, 1)
    far = opened.leases(far_away("far"))
    held = far.acquire(opened.stored)
    clock = Clock()
    taker = opened.leases(worker("b"), Watch(LeaseTimes(), clock))

    def look_for(seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            taker.note_expired_leases()
            with pytest.raises(NothingToTake):
                taker.acquire(opened.stored)
            clock.now += 5

    # Its lease has not expired by the database's clock.
    look_for(60)
    opened.expire(held)
    look_for(15)
    # The owner gives a sign of life at the last moment.
    assert far.beat(held) is True
    look_for(60)
    opened.expire(held)
    look_for(20)
    taker.note_expired_leases()
    taken = taker.acquire(opened.stored)
    assert (taken.number, taken.attempt) == (0, 2)
    with pytest.raises(LeaseLost):
        far.report(held, MEASUREMENTS[0], 0.5)
    assert opened.outcomes(held) == [("far", "lost", "no sign of life"), ("b", None, None)]


@pytest.mark.parametrize("by_ms", [0, 2**62 - 1], ids=["an hour ahead", "an hour back"])
def test_a_step_of_the_databases_clock_takes_no_trial_from_the_living(
    by_ms: int, opened: Opened
) -> None:
    with_budget(opened, 1)
    far = opened.leases(far_away("far"))
    held = far.acquire(opened.stored)
    clock = Clock()
    taker = opened.leases(worker("b"), Watch(LeaseTimes(), clock))
    for _ in range(3):
        opened.expire(held, by_ms)
        # The owner beats every 15 s.
        for _ in range(3):
            taker.note_expired_leases()
            with pytest.raises(NothingToTake):
                taker.acquire(opened.stored)
            clock.now += 5
        far.beat(held)
    # Where the owner is dead, no step of the clock hides it.
    opened.expire(held, by_ms)
    for _ in range(4):
        taker.note_expired_leases()
        with pytest.raises(NothingToTake):
            taker.acquire(opened.stored)
        clock.now += 5
    taker.note_expired_leases()
    assert taker.acquire(opened.stored).attempt == 2


def test_a_taker_that_was_away_itself_watches_anew(opened: Opened) -> None:
    with_budget(opened, 1)
    held = opened.leases(far_away("far")).acquire(opened.stored)
    clock = Clock()
    taker = opened.leases(worker("b"), Watch(LeaseTimes(), clock))
    opened.expire(held)
    # The database is away for a minute, after which the owner may just be coming back.
    for pause in (5, 5, 60, 5, 5, 5):
        taker.note_expired_leases()
        with pytest.raises(NothingToTake):
            taker.acquire(opened.stored)
        clock.now += pause
    taker.note_expired_leases()
    with pytest.raises(NothingToTake):
        taker.acquire(opened.stored)
    clock.now += 5
    taker.note_expired_leases()
    assert taker.acquire(opened.stored).attempt == 2


def test_a_taker_that_had_to_wait_for_its_own_write_watches_anew(opened: Opened) -> None:
    with_budget(opened, 1)
    held = opened.leases(far_away("far")).acquire(opened.stored)
    clock = Clock()
    taker = opened.leases(worker("b"), Watch(LeaseTimes(), clock))
    opened.expire(held)
    # The last pause is one in BEGIN IMMEDIATE: the owner has waited for the same lock.
    for pause in (5, 5, 5, 60):
        taker.note_expired_leases()
        clock.now += pause
    with pytest.raises(NothingToTake):
        taker.acquire(opened.stored)


def test_a_trial_that_kills_its_workers_is_given_up(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    given_up = []
    for _ in range(3):
        leases.hand_back(held, "lost", "its process is gone")
        held = leases.acquire(opened.stored)
        given_up.append(leases.times_lost(held))
    assert given_up == [None, None, 3]
    # The trial has come further: three more times it is tried.
    leases.report(held, MEASUREMENTS[0], 0.5)
    leases.hand_back(held, "lost", "its process is gone")
    assert leases.times_lost(leases.acquire(opened.stored)) is None


def test_an_epoch_is_recorded_with_its_report_and_read_back_whole(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    leases.record_parameters(held, {"x": 0.25}, {"x": FloatDistribution(0, 1)}, {"note": '"kept"'})
    for measurement in MEASUREMENTS:
        saved = SavedCheckpoint(measurement.epoch, f"1-{measurement.epoch}.ckpt", "0" * 64)
        leases.report(held, measurement, measurement.validation_accuracy, saved)
    checkpoints = read_checkpoints(opened.database, held.trial_id)
    assert [(each.epoch, each.name) for each in checkpoints] == [
        (1, "1-1.ckpt"),
        (2, "1-2.ckpt"),
        (3, "1-3.ckpt"),
    ]
    leases.finish(
        held, "complete", value=MEASUREMENTS[-1].validation_accuracy, system_attributes={"end": "1"}
    )
    record = read_trials(opened.database, opened.stored.study_id)[0]
    assert record.parameters == {"x": 0.25}
    assert [vars(epoch) for epoch in record.epochs] == [
        vars(measurement) for measurement in MEASUREMENTS
    ]
    trial = opened.rdb.get_trial(held.trial_id)
    assert trial.intermediate_values == {
        each.epoch: each.validation_accuracy for each in MEASUREMENTS
    }
    assert trial.system_attrs == {"note": "kept", "end": 1}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_no_number_is_reported_as_optuna_reports_it(
    value: float, opened: Opened
) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    leases.report(held, MEASUREMENTS[0], value)
    opened.rdb.set_trial_intermediate_value(held.trial_id, 2, value)
    reported = opened.rdb.get_trial(held.trial_id).intermediate_values
    assert [str(reported[epoch]) for epoch in (1, 2)] == [str(value)] * 2


def test_what_is_known_since_an_epoch_is_recorded_with_its_report_also_when_that_is_repeated(
    opened: Opened,
) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    leases.report(held, MEASUREMENTS[0], 0.5, None, {DUE_KEY: "1"})
    # A COMMIT that went unanswered is written again so.
    leases.report(held, MEASUREMENTS[0], 0.5, None, {DUE_KEY: "1"})
    (record,) = read_trials(opened.database, opened.stored.study_id)
    assert (record.due_epoch, len(record.epochs)) == (1, 1)
    assert opened.rdb.get_trial(held.trial_id).system_attrs == {DUE_KEY: 1}


def test_a_study_that_can_have_no_more_trials_ends_once_the_last_one_has_ended(
    opened: Opened,
) -> None:
    with_budget(opened, 9)
    leases, other = opened.leases(worker("a")), opened.leases(worker("b"))
    held = [leases.acquire(opened.stored, 3), other.acquire(opened.stored, 3)]
    # The trial has had its try.
    leases.finish(held[0], "failed", reason="boom")
    held[0] = leases.acquire(opened.stored, 3)
    assert held[0].number == 2
    with pytest.raises(NothingToTake, match="open; 2 are leased"):
        opened.leases(worker("c")).acquire(opened.stored, 3)
    other.hand_back(held[1])
    held[1] = leases.acquire(opened.stored, 3)
    assert held[1].number == 1
    leases.finish(held[0], "complete", value=0.5)
    with pytest.raises(NothingToTake, match="open; 1 are leased"):
        other.look(opened.stored, 3)
    leases.finish(held[1], "pruned", value=0.4)
    assert opened.again().state == "open"
    with pytest.raises(NothingToTake, match="ended; 0 are leased"):
        other.acquire(opened.stored, 3)
    assert opened.again().end_reason == "exhausted"


def test_only_a_trial_that_was_made_for_its_lease_is_new(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    made = leases.acquire(opened.stored)
    # A COMMIT that went unanswered is asked for again so.
    assert leases.acquire(opened.stored) == replace(made, is_new=False)
    leases.hand_back(made)
    assert leases.acquire(opened.stored) == replace(made, is_new=False, attempt=2)
    assert made.is_new


def test_what_is_measured_again_is_forgotten_first(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    for measurement in MEASUREMENTS:
        leases.report(held, measurement, measurement.validation_accuracy)
    leases.hand_back(held)
    held = leases.acquire(opened.stored)
    leases.resume_at(held, 1)
    assert [each.epoch for each in read_checkpoints(opened.database, held.trial_id)] == [1]
    assert list(opened.rdb.get_trial(held.trial_id).intermediate_values) == [1]
    assert leases.report(held, MEASUREMENTS[1], 0.5) == "open"


FIRST, LAST = SavedCheckpoint(1, "1-1.ckpt", "1" * 64), SavedCheckpoint(2, "1-2.ckpt", "2" * 64)


def named(opened: Opened, held: Lease) -> list[tuple[int, str | None, str | None]]:
    """The checkpoint of each recorded epoch."""
    return [
        (each.epoch, each.name, each.sha256)
        for each in read_checkpoints(opened.database, held.trial_id)
    ]


def test_a_hand_back_names_the_checkpoint_of_the_last_recorded_epoch(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    unsaved = [leases.unsaved_epoch(held)]
    for measurement, saved in zip(MEASUREMENTS, (FIRST, None), strict=False):
        leases.report(held, measurement, measurement.validation_accuracy, saved)
        unsaved.append(leases.unsaved_epoch(held))
    assert unsaved == [None, None, 2]
    assert leases.hand_back(held, checkpoint=LAST) is True
    assert named(opened, held) == [(1, FIRST.name, FIRST.sha256), (2, LAST.name, LAST.sha256)]
    assert opened.outcomes(held) == [("a", "handed_back", None)]
    assert leases.unsaved_epoch(held) is None


def test_who_has_lost_a_trial_names_no_checkpoint_of_it_and_is_asked_for_none(
    opened: Opened,
) -> None:
    leases = opened.leases(worker("a"))
    stale = leases.acquire(opened.stored)
    for measurement in MEASUREMENTS[:2]:
        leases.report(stale, measurement, measurement.validation_accuracy)
    leases.hand_back(stale)
    opened.leases(worker("b")).acquire(opened.stored)
    assert leases.unsaved_epoch(stale) is None
    assert leases.hand_back(stale, checkpoint=LAST) is False
    assert named(opened, stale) == [(1, None, None), (2, None, None)]


def test_a_hand_back_whose_commit_went_unanswered_is_known_to_be_done(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when another worker has taken the trial up meanwhile: the file that is named is not
    thrown away.
    """
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    for measurement in MEASUREMENTS[:2]:
        leases.report(held, measurement, measurement.validation_accuracy)
    persist = opened.database.transactions.persist

    def unanswered(operation: Callable[[bool], bool], seconds: float | None = None) -> bool:
        operation(False)
        monkeypatch.undo()
        opened.leases(worker("b")).acquire(opened.stored)
        return persist(lambda repeated: operation(True), seconds)

    monkeypatch.setattr(opened.database.transactions, "persist", unanswered)
    assert leases.hand_back(held, checkpoint=LAST) is True
    assert named(opened, held) == [(1, None, None), (2, LAST.name, LAST.sha256)]


@pytest.mark.parametrize(("finished", "failures"), [(0, 3), (1, 10)])
def test_failures_end_a_study_at_their_cap(finished: int, failures: int, opened: Opened) -> None:
    with_budget(opened, 5)
    leases = opened.leases(worker("a"))
    for _ in range(finished):
        leases.finish(leases.acquire(opened.stored), "complete", value=0.5)
    states = [
        leases.finish(leases.acquire(opened.stored), "failed", reason="boom")
        for _ in range(failures)
    ]
    assert states == ["open"] * (failures - 1) + ["ended"]
    assert opened.again().end_reason == "failures"


def test_a_paused_study_gives_no_trials_and_an_ended_one_cannot_be_paused(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    pause_study(opened.database, opened.stored)
    assert leases.report(held, MEASUREMENTS[0], 0.5) == "paused"
    leases.hand_back(held)
    with pytest.raises(NothingToTake) as paused:
        leases.acquire(opened.stored)
    assert (paused.value.state, paused.value.leased) == ("paused", 1)
    resume_study(opened.database, opened.stored)
    assert leases.acquire(opened.stored).number == held.number
    stop_study(opened.database, opened.stored)
    for control in (pause_study, resume_study):
        with pytest.raises(StudyEnded):
            control(opened.database, opened.stored)


def test_a_pause_does_not_use_up_the_time_of_a_study(opened: Opened) -> None:
    raise_budget(opened.database, opened.stored, Budget(5, timeout_seconds=0.5))
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    pause_study(opened.database, opened.stored)
    time.sleep(0.7)
    resume_study(opened.database, opened.stored)
    assert leases.report(held, MEASUREMENTS[0], 0.5) == "open"
    time.sleep(0.7)
    assert leases.report(held, MEASUREMENTS[1], 0.5) == "ended"
    assert opened.again().end_reason == "timeout"


def test_nothing_is_left_leased_of_a_study_that_was_stopped(opened: Opened) -> None:
    with_budget(opened, 9)
    leases, other = opened.leases(worker("a")), opened.leases(worker("b"))
    fresh, reported = leases.acquire(opened.stored), other.acquire(opened.stored)
    running = opened.leases(worker("c")).acquire(opened.stored)
    other.report(reported, MEASUREMENTS[0], 0.25)
    leases.hand_back(fresh)
    other.hand_back(reported)
    stop_study(opened.database, opened.stored)
    # A living worker holds the one that is left.
    assert leases.settle(opened.stored) == 1
    assert leases.finish(running, "pruned", value=0.5, reason="the study ended") == "ended"
    assert leases.settle(opened.stored) == 0
    records = read_trials(opened.database, opened.stored.study_id)
    assert [(each.state, each.value, each.reason) for each in records] == [
        ("failed", None, "the study ended before its first epoch"),
        ("pruned", 0.25, "the study ended"),
        ("pruned", 0.5, "the study ended"),
    ]


def test_deleting_a_study_takes_all_of_its_rows(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    leases.report(held, MEASUREMENTS[0], 0.5)
    delete_study(opened.database, opened.rdb, opened.stored)
    with opened.database.transactions.read() as connection:
        for table in schema.OF_TRIAL:
            assert (
                connection.execute(select(table).where(table.c.trial_id == held.trial_id)).all()
                == []
            )
        assert (
            connection.execute(
                select(schema.study).where(schema.study.c.uid == opened.stored.uid)
            ).all()
            == []
        )
    with pytest.raises((LeaseLost, StudyDeleted)):
        leases.report(held, MEASUREMENTS[1], 0.5)
    with pytest.raises(StudyDeleted):
        leases.acquire(opened.stored)


def test_a_study_that_plain_optuna_deleted_and_made_again_is_another_one(
    opened: Opened, shared_url: str
) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    leases.report(held, MEASUREMENTS[0], 0.5)
    plain = shared_url.replace("postgresql://", "postgresql+psycopg://").replace(
        "mariadb://", "mysql+pymysql://"
    )
    theirs = RDBStorage(plain)
    optuna.delete_study(study_name=opened.stored.name, storage=theirs)
    with opened.database.transactions.read() as connection:
        for table in schema.OF_TRIAL:
            assert (
                connection.execute(select(table).where(table.c.trial_id == held.trial_id)).all()
                == []
            )
    again = optuna.create_study(study_name=opened.stored.name, storage=theirs)
    again.ask()
    with pytest.raises((LeaseLost, StudyDeleted)):
        leases.report(held, MEASUREMENTS[1], 0.5)
    with pytest.raises((LeaseLost, StudyDeleted)):
        leases.finish(held, "complete", value=0.5)
    with pytest.raises(StudyDeleted):
        leases.acquire(opened.stored)
    assert [trial.intermediate_values for trial in again.trials] == [{}]
    theirs.engine.dispose()


def test_a_trial_that_plain_optuna_ended_is_left_alone(opened: Opened, shared_url: str) -> None:
    with_budget(opened, 1)
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    opened.rdb.set_trial_state_values(held.trial_id, TrialState.COMPLETE, [0.75])
    for write in (
        lambda: leases.report(held, MEASUREMENTS[0], 0.5),
        lambda: leases.finish(held, "complete", value=0.5),
    ):
        with pytest.raises(LeaseLost):
            write()
    with pytest.raises(NothingToTake) as nothing:
        leases.acquire(opened.stored)
    assert (nothing.value.state, nothing.value.leased) == ("ended", 0)
    assert opened.rdb.get_trial(held.trial_id).value == 0.75
    assert opened.outcomes(held) == [("a", "lost", "ended by another program")]


def test_a_report_wins_over_another_programs_of_the_same_step(opened: Opened) -> None:
    leases = opened.leases(worker("a"))
    held = leases.acquire(opened.stored)
    opened.rdb.set_trial_intermediate_value(held.trial_id, 1, 0.25)
    leases.report(held, MEASUREMENTS[0], 0.5)
    assert opened.rdb.get_trial(held.trial_id).intermediate_values == {1: 0.5}


def test_a_running_trial_of_plain_optuna_is_somebody_elses(opened: Opened) -> None:
    with opened.database.transactions.writing():
        theirs = opened.rdb.create_new_trial(opened.stored.study_id)
    leases = opened.leases(worker("a"))
    assert [leases.acquire(opened.stored).number for _ in range(1)] == [1]
    assert opened.rdb.get_trial(theirs).state == TrialState.RUNNING


def test_workers_that_are_alive_are_shown_with_what_they_hold(opened: Opened) -> None:
    first, second = opened.leases(worker("a")), opened.leases(worker("b"))
    held = first.acquire(opened.stored)
    for leases in (first, second):
        leases.beat(None)
    ids = {first.worker.id: 0, second.worker.id: 1}
    shown = sorted(
        (ids[each.worker], each.study, each.number)
        for each in read_workers(opened.database)
        if each.worker in ids
    )
    assert shown == [(0, opened.stored.name, held.number), (1, None, None)]
    assert [
        (each.number, each.worker) for each in read_running(opened.database, opened.stored.study_id)
    ] == [(held.number, first.worker.id)]
    second.leave()
    assert [each.worker for each in read_workers(opened.database) if each.worker in ids] == [
        first.worker.id
    ]


def test_a_training_that_hangs_loses_its_lease_and_one_that_moves_keeps_it(opened: Opened) -> None:
    times = LeaseTimes(lease=0.6, renewal=0.15, watch=0.3, hung=0.4)
    leases = TrialLeases(opened.database, opened.rdb, worker("a"), times)
    with Keeper(leases) as keeper:
        moving = leases.acquire(opened.stored)
        keeper.hold(moving)
        # The training takes longer than the lease, and never hangs.
        for _ in range(30):
            time.sleep(0.05)
            keeper.moved()
        assert leases.report(moving, MEASUREMENTS[0], 0.5) == "open"
        time.sleep(1.5)
        with pytest.raises(LeaseLost):
            keeper.moved()
        keeper.release()
    (outcome,) = opened.outcomes(moving)
    assert outcome[:2] == ("a", "lost")
    assert outcome[2] is not None
    assert outcome[2].startswith("hung: no step of training for ")
    assert opened.leases(worker("b")).acquire(opened.stored).attempt == 2


@contextmanager
def failing(opened: Opened, *words: str, times: float = math.inf) -> Iterator[None]:
    """A database that is away for statements that start with these words, else for all; for the
    first so many.
    """
    failures = count(1)

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if (not words or statement.startswith(words)) and next(failures) <= times:
            raise OperationalError(statement, None, Exception("away"), connection_invalidated=True)

    event.listen(opened.database.engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(opened.database.engine, "before_cursor_execute", fail)


def test_a_training_that_waits_for_the_database_does_not_hang(opened: Opened) -> None:
    leases = TrialLeases(
        opened.database, opened.rdb, worker("a"), LeaseTimes(0.6, 0.15, 0.3, hung=0.6)
    )
    held = leases.acquire(opened.stored)
    with Keeper(leases) as keeper:
        keeper.hold(held)
        with failing(opened):
            time.sleep(1.5)
        time.sleep(0.3)
        keeper.moved()
        assert leases.report(held, MEASUREMENTS[0], 0.5) == "open"
        keeper.release()


def test_whoever_looks_on_waits_out_a_short_outage(opened: Opened) -> None:
    held = opened.leases(worker("a")).acquire(opened.stored)
    for look in (
        lambda: read_study(opened.database, opened.stored).finished,
        lambda: len(read_trials(opened.database, opened.stored.study_id)),
        lambda: len(read_running(opened.database, opened.stored.study_id)),
        lambda: len(read_checkpoints(opened.database, held.trial_id)),
        lambda: len(read_epoch_seconds(opened.database, opened.stored.study_id)),
        lambda: first_failure(opened.database, opened.stored.study_id),
    ):
        before = look()
        with failing(opened, times=2):
            assert look() == before


def test_nobody_is_taken_for_dead_while_nothing_can_be_written(opened: Opened) -> None:
    with_budget(opened, 1)
    held = opened.leases(far_away("far")).acquire(opened.stored)
    opened.expire(held)
    taker = TrialLeases(opened.database, opened.rdb, worker("b"), LeaseTimes(1.0, 0.25, 0.5))
    with Keeper(taker):
        with failing(opened, "UPDATE", "INSERT", "DELETE", "BEGIN IMMEDIATE"):
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                with pytest.raises(NothingToTake):
                    taker.look(opened.stored)
                time.sleep(0.02)
        with pytest.raises(NothingToTake):
            taker.acquire(opened.stored)
        assert taken_in_time(taker, opened).attempt == 2


def taken_in_time(taker: TrialLeases, opened: Opened) -> Lease:
    """A trial that will be silent for the watch; on a busy machine that takes longer."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return taker.acquire(opened.stored)
        except NothingToTake:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_hung_is_ten_median_epochs_and_at_least_two_minutes(opened: Opened) -> None:
    keeper = Keeper(opened.leases(worker("a")))
    assert keeper.hung_after_seconds == 120
    for seconds in (1.0, 30.0, 60.0):
        keeper.epoch_took(seconds)
    assert keeper.hung_after_seconds == 300
