"""An error of the driver at every statement of every operation, and at its COMMIT: each is repeated
whole.
"""

import contextlib
import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial

from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, Row, Table, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext

from lab.faults.lab import Lab, Result
from objectives.checkpoint import SavedCheckpoint
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.synthetic import synthetic_curve
from storage.computing import Computing
from storage.direction import Direction
from storage.engine import Database, open_for_work
from storage.hosts import process_start
from storage.leases.lease import Lease, Worker
from storage.leases.taking import TrialLeases
from storage.records import EpochRecord
from storage.schema import attempt, epoch, lease, optuna_params, optuna_trials, optuna_values, study
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study
from storage.transactions import Patience

# The function makes an engine fail at the place of a number, within a context that gives the places
# seen.
Failing = Callable[[Engine, int, Exception], AbstractContextManager[list[str]]]
# A lock is waited for so long here.
BRIEF_SECONDS = 1
EPOCHS = [
    EpochRecord(**asdict(measurement))
    for measurement in synthetic_curve(Hyperparameters(SGD(0.1)), epochs=3, seed=0)
]


def driver_errors(backend: str) -> list[Exception]:
    """Real exceptions of the driver, as the database makes it raise them."""
    if backend == "postgresql":
        from psycopg import errors

        return [each("forced") for each in (errors.DeadlockDetected, errors.LockNotAvailable)] + [
            errors.SerializationFailure("forced")
        ]
    if backend == "mariadb":
        from pymysql.err import OperationalError

        return [
            OperationalError(1213, "Deadlock found", sqlstate="40001"),
            OperationalError(1205, "Lock wait timeout exceeded", sqlstate="HY000"),
        ]
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return [busy]


@dataclass
class Bench:
    """A study with a trial under way, and the operations on it in their order."""

    database: Database
    rdb: RDBStorage
    stored: StoredStudy
    leases: TrialLeases
    held: Lease | None = None

    @property
    def lease(self) -> Lease:
        """Of the trial under way."""
        assert self.held is not None
        return self.held

    def acquire(self) -> None:
        """Creates a trial, or takes the one up that was handed back."""
        self.held = self.leases.acquire(self.stored)

    def record_parameters(self) -> None:
        """Of one dimension, with a note of the sampler."""
        self.leases.record_parameters(
            self.lease, {"x": 0.25}, {"x": FloatDistribution(0, 1)}, {"note": "1"}
        )

    def report(self) -> None:
        """All epochs that are not there yet, one after the other."""
        for record in EPOCHS:
            self.leases.report(self.lease, record, record.validation_accuracy)

    def report_the_rest(self) -> None:
        """The epochs after the first."""
        for record in EPOCHS[1:]:
            self.leases.report(self.lease, record, record.validation_accuracy)

    def hand_back(self) -> None:
        """For the next attempt, with a checkpoint to go on from."""
        assert self.leases.hand_back(
            self.lease, checkpoint=SavedCheckpoint(1, "1-1.ckpt", "0" * 64)
        )

    def resume(self) -> None:
        """After the first epoch."""
        self.leases.resume_at(self.lease, 1)

    def finish(self) -> None:
        """Complete, which ends the study."""
        self.leases.finish(
            self.lease,
            "complete",
            value=EPOCHS[-1].validation_accuracy,
            system_attributes={"end": "1"},
        )

    @property
    def operations(self) -> list[tuple[str, Callable[[], None]]]:
        """A trial's life, with a second attempt."""
        return [
            ("create", self.acquire),
            ("parameters", self.record_parameters),
            ("report", self.report),
            ("hand back", self.hand_back),
            ("take over", self.acquire),
            ("resume", self.resume),
            ("report again", self.report_the_rest),
            ("finish", self.finish),
        ]

    def rows(self) -> list[list[tuple[object, ...]]]:
        """Everything recorded of the study but ids and times."""
        of_study = optuna_trials.c.study_id == self.stored.study_id

        def of_trials(
            connection: Connection, table: Table, *columns: str
        ) -> list[tuple[object, ...]]:
            chosen = [table.c[name] for name in columns]
            query = select(optuna_trials.c.number, *chosen).join(
                table, table.c.trial_id == optuna_trials.c.trial_id
            )
            rows: list[Row[tuple[object, ...]]] = list(
                connection.execute(query.where(of_study)).all()
            )
            return sorted(tuple(row) for row in rows)

        with self.database.transactions.read() as connection:
            trials = connection.execute(
                select(optuna_trials.c.number, optuna_trials.c.state).where(of_study)
            ).all()
            states = connection.execute(
                select(study.c.state, study.c.end_reason).where(
                    study.c.study_id == self.stored.study_id
                )
            ).all()
            return [
                [tuple(row) for row in (*trials, *states)],
                of_trials(connection, lease, "attempt", "owner"),
                of_trials(connection, attempt, "attempt", "outcome"),
                of_trials(
                    connection, epoch, "epoch", "attempt", "validation_accuracy", "checkpoint"
                ),
                of_trials(connection, optuna_params, "param_name", "param_value"),
                of_trials(connection, optuna_values, "value"),
            ]


@contextmanager
def benches(url: str) -> Iterator[Callable[[], Bench]]:
    """A function that makes a new study of one trial in the database."""
    numbers = itertools.count()
    database, rdb = open_for_work(url, patience=Patience(seconds=60, longest_delay_seconds=0.2))

    def make() -> Bench:
        name = f"study-{next(numbers)}"
        create_study(
            database,
            rdb,
            name=name,
            metric="accuracy",
            direction=Direction.UP,
            definition="{}",
            definition_hash="0",
            budget=Budget(1),
        )
        pid = os.getpid()
        me = Worker(name, "here", "here", pid, process_start(pid), "cpu", Computing(1))
        return Bench(database, rdb, find_study(database, name), TrialLeases(database, rdb, me))

    with database:
        yield make


def undisturbed(made: Bench) -> list[list[tuple[object, ...]]]:
    """What is recorded where nothing fails."""
    for _, operation in made.operations:
        operation()
    return made.rows()


def disturbed(made: Bench, position: int, failing: Failing, number: int, error: Exception) -> int:
    """Lives a trial whose operation at that position fails at the place of that number; returns how
    many places to fail it has.
    """
    places = 0
    for index, (_, operation) in enumerate(made.operations):
        if index != position:
            operation()
            continue
        with failing(made.database.engine, number, error) as seen:
            operation()
        places = len(seen)
    return places


@contextmanager
def failing_at(engine: Engine, number: int, error: Exception) -> Iterator[list[str]]:
    """The statement of that number (0 is the first) raises, where the driver would; yields the
    statements seen.
    """
    seen: list[str] = []

    def execute(cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)
        if len(seen) == number + 1:
            raise error

    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(engine, name, execute)
    try:
        yield seen
    finally:
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            event.remove(engine, name, execute)


@contextmanager
def commit_failing_at(
    engine: Engine, number: int, error: Exception, *, after: bool
) -> Iterator[list[str]]:
    """The COMMIT of that number fails, after it went through where `after`; yields the commits
    seen.
    """
    seen: list[str] = []
    commit = engine.dialect.do_commit

    def do_commit(connection: DBAPIConnection) -> None:
        seen.append("COMMIT")
        due = len(seen) == number + 1
        if due and not after:
            raise error
        commit(connection)  # type: ignore[arg-type]
        if due:
            raise error

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]
    try:
        yield seen
    finally:
        del engine.dialect.do_commit


WHERE: dict[str, Failing] = {
    "statement": failing_at,
    "COMMIT": partial(commit_failing_at, after=False),
    "the answer to COMMIT": partial(commit_failing_at, after=True),
}


def forced(lab: Lab, times: int, only: Collection[str] = ()) -> Result:
    """Fails each statement and each COMMIT of each operation (or some) once, and compares all that
    is recorded.
    """
    wrong: list[str] = []
    tried = 0
    with benches(lab.new_url()) as make:
        expected = undisturbed(make())
        operations = [
            (place, name)
            for place, (name, _) in enumerate(make().operations)
            if not only or name in only
        ]
        cases = itertools.product(range(times), driver_errors(lab.backend), WHERE, operations)
        for _, error, where, (position, operation) in cases:
            for number in itertools.count():
                made = make()
                if disturbed(made, position, WHERE[where], number, error) <= number:
                    # The operation has no more places.
                    break
                tried += 1
                if made.rows() != expected:
                    wrong.append(
                        f"{error!r} at {where} {number} of {operation}: {made.rows()} is not"
                        f" {expected}"
                    )
    did = (
        f"errors of the driver at each statement, COMMIT and answer of {len(operations)} operations"
    )
    return Result("statements", lab.backend, did, tried, wrong)


def real_conflicts(lab: Lab, times: int) -> Result:
    """A second connection holds what is needed, longer than a lock is waited for; on servers, a
    deadlock too.
    """
    url = lab.new_url()
    kinds = ["lock timeout"] + ["deadlock"] * (lab.backend != "sqlite")
    wrong: list[str] = []
    with benches(url) as make:
        expected = undisturbed(make())
        for _, kind in itertools.product(range(times), kinds):
            made = make()
            engine = made.database.engine
            wait_for_locks(engine, BRIEF_SECONDS if kind == "lock timeout" else 30)
            for _, operation in made.operations[:-1]:
                operation()
            errors: list[str] = []
            note = partial(_note, errors)
            event.listen(engine, "handle_error", note)
            holds = threading.Event()
            rival = threading.Thread(
                target=hold_the_lock if kind == "lock timeout" else cross, args=(url, made, holds)
            )
            rival.start()
            holds.wait()
            made.finish()
            rival.join()
            event.remove(engine, "handle_error", note)
            if not any(
                ("deadlock" if kind == "deadlock" else "lock") in said.lower() for said in errors
            ):
                wrong.append(f"{kind}: none came about: {errors}")
            if made.rows() != expected:
                wrong.append(f"{kind}: {made.rows()} is not {expected}")
    return Result(
        "conflicts", lab.backend, f"a real {' and a real '.join(kinds)}", times * len(kinds), wrong
    )


def _note(errors: list[str], context: ExceptionContext) -> None:
    errors.append(str(context.original_exception))


def wait_for_locks(engine: Engine, seconds: int) -> None:
    """New connections of the engine wait so long for a lock, and the old ones are closed."""
    settings = {
        "sqlite": f"PRAGMA busy_timeout = {seconds * 1000}",
        "postgresql": f"SET lock_timeout = '{seconds}s'",
        "mysql": f"SET SESSION innodb_lock_wait_timeout = {seconds}",
    }

    def configure(connection: sqlite3.Connection, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(settings[engine.dialect.name])
        cursor.close()
        connection.commit()

    engine.dispose()
    event.listen(engine, "connect", configure)


def hold_the_lock(url: str, made: Bench, holds: threading.Event) -> None:
    """Holds the study's row, or SQLite's file, for so long that a lock is not waited for."""
    other, _ = open_for_work(url)
    with other, other.transactions.write() as connection:
        connection.execute(
            select(study).where(study.c.study_id == made.stored.study_id).with_for_update()
        )
        holds.set()
        time.sleep(2.5 * BRIEF_SECONDS)


def cross(url: str, made: Bench, holds: threading.Event) -> None:
    """Takes the lease's row, then wants the study's, which `finish` takes first; it has more to
    undo.
    """
    other, _ = open_for_work(url)
    with contextlib.suppress(Exception), other, other.transactions.write() as connection:
        of_trial = lease.c.trial_id == made.lease.trial_id
        connection.execute(lease.update().where(of_trial).values(host="elsewhere"))
        connection.execute(
            epoch.update().where(epoch.c.trial_id == made.lease.trial_id).values(seconds=1.0)
        )
        holds.set()
        # By then `finish` waits.
        time.sleep(0.7)
        connection.execute(
            select(study).where(study.c.study_id == made.stored.study_id).with_for_update()
        )
        connection.rollback()
