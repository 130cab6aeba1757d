"""What a study's time counts, and what opens one that has ended: one contract on every kind of
database.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import update

from objectives.hyperparameters import SGD, Hyperparameters
from objectives.synthetic import synthetic_curve
from storage.activity import read_worked_ms
from storage.computing import Computing
from storage.engine import Database, open_for_work
from storage.hosts import process_start
from storage.leases.lease import Lease, Worker
from storage.leases.taking import NothingToTake, TrialLeases
from storage.schema import attempt, study
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study, pause_study, raise_budget, resume_study, stop_study

HOUR_MS = 3_600_000
MEASUREMENTS = list(synthetic_curve(Hyperparameters(SGD(0.1)), epochs=3, seed=0))
TIMES = ("started_ms", "ended_ms", "paused_since_ms")


@dataclass
class Opened:
    """A database, its study, and a worker on it."""

    database: Database
    rdb: RDBStorage
    stored: StoredStudy

    def again(self) -> StoredStudy:
        return find_study(self.database, self.stored.name)

    def how(self) -> tuple[str, str | None]:
        return self.again().state, self.again().end_reason

    def hours_pass(self, hours: float) -> None:
        """All that has happened to the study was so much longer ago."""
        columns = {name: study.c[name] - round(hours * HOUR_MS) for name in TIMES}
        with self.database.transactions.write() as connection:
            connection.execute(
                update(study).where(study.c.study_id == self.stored.study_id).values(columns)
            )

    def has_budget(
        self, trials: int, hours: float | None = None, target: float | None = None, **most: int
    ) -> None:
        budget = Budget(trials, None if hours is None else 3600 * hours, target)
        raise_budget(self.database, self.stored, budget, **most)

    @property
    def leases(self) -> TrialLeases:
        """Of a new worker: one that is known takes its own trial up again."""
        me = Worker(
            uuid.uuid4().hex,
            "here",
            "here",
            os.getpid(),
            process_start(os.getpid()),
            "cpu",
            Computing(1, 64),
        )
        return TrialLeases(self.database, self.rdb, me)

    def take(self) -> Lease:
        return self.leases.acquire(self.again())

    def complete(self, value: float = 0.5) -> str:
        return self.leases.finish(self.take(), "complete", value=value)

    def look(self) -> tuple[str, str | None]:
        """What a worker that looks for a trial makes of the study."""
        with suppress(NothingToTake):
            self.leases.look(self.again())
        return self.how()


@pytest.fixture
def opened(shared_url: str) -> Iterator[Opened]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(shared_url)
    with database:
        yield opened_study(database, rdb, "maximize")


def opened_study(database: Database, rdb: RDBStorage, direction: str) -> Opened:
    name = f"s{uuid.uuid4().hex[:12]}"
    create_study(
        database,
        rdb,
        name=name,
        metric="accuracy" if direction == "maximize" else "loss",
        direction="maximize" if direction == "maximize" else "minimize",
        definition="{}",
        definition_hash="0",
        budget=Budget(9, 3600.0),
        costs=("parameters",),
    )
    return Opened(database, rdb, find_study(database, name))


def test_the_time_while_a_study_had_ended_is_not_counted(opened: Opened) -> None:
    opened.has_budget(1, hours=1.0)
    held = opened.take()
    opened.hours_pass(0.75)
    assert opened.leases.finish(held, "complete", value=0.5) == "ended"
    opened.hours_pass(48.0)
    opened.has_budget(9, hours=1.0)
    assert opened.look() == ("open", None)
    opened.hours_pass(0.2)
    assert opened.look() == ("open", None)
    opened.hours_pass(0.1)
    assert opened.look() == ("ended", "timeout")


def test_a_study_whose_time_is_used_up_stays_ended_until_it_gets_more(opened: Opened) -> None:
    opened.take()
    opened.hours_pass(1.5)
    assert opened.look() == ("ended", "timeout")
    ended_ms = opened.again().ended_ms
    opened.has_budget(20, hours=1.0)
    assert (opened.how(), opened.again().budget.trials) == (("ended", "timeout"), 20)
    # To be asked is no new end.
    assert opened.again().ended_ms == ended_ms
    opened.hours_pass(48.0)
    opened.has_budget(20, hours=1.4)
    assert opened.how() == ("ended", "timeout")
    opened.has_budget(20, hours=2.0)
    assert opened.look() == ("open", None)
    opened.hours_pass(0.6)
    assert opened.look() == ("ended", "timeout")


def test_a_pause_that_ends_in_a_stop_is_counted_once(opened: Opened) -> None:
    opened.take()
    opened.hours_pass(0.5)
    pause_study(opened.database, opened.stored)
    opened.hours_pass(3.0)
    stop_study(opened.database, opened.stored)
    opened.hours_pass(5.0)
    opened.has_budget(20, hours=1.0)
    assert opened.look() == ("open", None)
    opened.hours_pass(0.4)
    assert opened.look() == ("open", None)
    opened.hours_pass(0.2)
    assert opened.look() == ("ended", "timeout")


@pytest.mark.parametrize("is_stopped", [False, True])
def test_what_passes_before_the_first_trial_makes_no_study_longer(
    is_stopped: bool, opened: Opened
) -> None:
    (stop_study if is_stopped else pause_study)(opened.database, opened.stored)
    opened.hours_pass(7.0)
    if is_stopped:
        opened.has_budget(20, hours=1.0)
    else:
        resume_study(opened.database, opened.stored)
    opened.take()
    opened.hours_pass(1.1)
    assert opened.look() == ("ended", "timeout")


def test_a_trial_that_ran_when_its_study_ended_goes_on_where_that_is_opened_again(
    opened: Opened,
) -> None:
    opened.has_budget(9, hours=1.0, target=0.9)
    held = opened.take()
    opened.leases.report(held, MEASUREMENTS[0], 0.5)
    opened.has_budget(9, hours=1.0, target=0.9)
    stop_study(opened.database, opened.stored)
    opened.has_budget(10, hours=1.0, target=0.9)
    assert opened.leases.report(held, MEASUREMENTS[1], 0.5) == "open"
    assert opened.leases.finish(held, "complete", value=0.5) == "open"


def test_a_target_that_was_reached_keeps_a_study_ended_until_it_is_raised(opened: Opened) -> None:
    opened.has_budget(9, target=0.8)
    assert [opened.complete(value) for value in (0.7, 0.85)] == ["open", "ended"]
    opened.has_budget(20, target=0.8)
    assert opened.how() == ("ended", "target")
    opened.has_budget(20, target=0.84)
    assert opened.how() == ("ended", "target")
    opened.has_budget(20, target=0.9)
    assert opened.how() == ("open", None)
    assert [opened.complete(value) for value in (0.86, 0.9)] == ["open", "ended"]
    assert opened.how() == ("ended", "target")


def test_a_target_of_a_loss_is_reached_from_above(shared_url: str) -> None:
    database, rdb = open_for_work(shared_url)
    with database:
        opened = opened_study(database, rdb, "minimize")
        opened.has_budget(9, target=0.3)
        held = [opened.take(), opened.take()]
        # The cost is no loss.
        assert opened.leases.finish(held[0], "complete", value=0.4, costs=[0.1]) == "open"
        assert opened.leases.finish(held[1], "complete", value=0.3, costs=[5.0]) == "ended"
        opened.has_budget(9, target=0.25)
        assert opened.how() == ("open", None)


def test_a_target_that_is_set_later_counts_for_what_has_been_and_for_what_runs(
    opened: Opened,
) -> None:
    assert opened.complete(0.6) == "open"
    held = opened.take()
    opened.has_budget(9, target=0.7)
    # The trial was taken when there was no target yet.
    assert opened.leases.finish(held, "complete", value=0.75) == "ended"
    opened.has_budget(9, target=0.8)
    assert opened.complete(0.78) == "open"
    opened.has_budget(9, target=0.77)
    assert opened.how() == ("ended", "target")


def test_failures_and_an_enumeration_that_is_done_keep_a_study_ended(opened: Opened) -> None:
    for _ in range(2):
        assert opened.complete() == "open"
    opened.has_budget(2)
    assert opened.how() == ("ended", "trials")
    opened.has_budget(9, most=2)
    assert opened.how() == ("ended", "exhausted")
    opened.has_budget(9, most=3)
    assert opened.how() == ("open", None)


def test_a_study_in_which_all_fails_is_not_opened_by_more_trials(opened: Opened) -> None:
    for _ in range(3):
        opened.leases.finish(opened.take(), "failed", reason="boom")
    assert opened.how() == ("ended", "failures")
    opened.has_budget(40)
    assert opened.how() == ("ended", "failures")


def test_time_of_work_leaves_out_what_lies_between_and_after_the_dead(opened: Opened) -> None:
    assert opened.complete() == "open"
    died, runs = opened.take(), opened.take()
    opened.leases.report(died, MEASUREMENTS[0], 0.5)

    def worked_ms(**times: tuple[int, int | None, str | None]) -> int:
        attempts = {
            "complete": runs.trial_id - 2,
            "lost": died.trial_id,
            "running": runs.trial_id,
        }
        with opened.database.transactions.write() as connection:
            for which, (start, end, outcome) in times.items():
                values = {"started_ms": start, "ended_ms": end, "outcome": outcome}
                chosen = attempt.c.trial_id == attempts[which]
                connection.execute(update(attempt).where(chosen).values(values))
        return read_worked_ms(opened.database, opened.stored.study_id)

    # The lost one recorded an epoch of a millisecond; nobody ended after the last one began.
    complete, lost = (0, 5, "complete"), (10, 9_000, "lost")
    assert worked_ms(complete=complete, lost=lost, running=(20, None, None)) == 5 + 1
    # Two at once count once, one of them within the other, and one that runs up to the last end.
    assert worked_ms(complete=(0, 50, "complete"), running=(20, None, None)) == 50
    assert worked_ms(lost=(40, 100, "complete"), running=(45, 60, "complete")) == 100
