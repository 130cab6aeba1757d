"""Transactions of one database, ours and Optuna's: what they carry, and how they are repeated."""

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Engine, event

from storage.database_errors import is_passing, mend, reason
from storage.errors import StorageUnavailable

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
Result = TypeVar("Result")
TransactionPart = Callable[[Connection], None]


@dataclass(frozen=True)
class Patience:
    """How long and how often a transaction is repeated: the bound, and full jitter below a growing
    delay.

    The longest delay is far below the time that a taker watches a lease (storage.leases), so that
    after an outage every owner is back before anybody may take its trial.
    """

    seconds: float = 600.0
    first_delay_seconds: float = 0.05
    longest_delay_seconds: float = 4.0
    # A deadlock is not worth a line, an outage is.
    say_after_seconds: float = 2.0


@dataclass
class Writing:
    """What the writing transactions of one block carry, whether they go first, and whether one was
    committed.
    """

    guard: TransactionPart | None = None
    extra: TransactionPart | None = None
    urgent: bool = False
    committed: bool = False


ASK_AGAIN_SECONDS = 0.002


def _begin_before_others(connection: Connection) -> None:
    """BEGIN IMMEDIATE, asked for far more often than SQLite's own waiting does.

    SQLite has no queue: whoever waits asks every 100 ms, and whoever asks while the lock is free
    has it. Beside many writers that may take seconds.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    (patience_ms,) = raw.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + patience_ms / 1000
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < deadline:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(ASK_AGAIN_SECONDS)
            else:
                return
        # The error of this one is one of SQLAlchemy's.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        raw.execute(f"PRAGMA busy_timeout = {patience_ms}")


class Transactions:
    """What the transactions of one engine, ours and Optuna's, are for: reading, or writing with a
    guard.

    Optuna's own transactions run through `scoped_session`; inside `writing(guard, extra)` the guard
    is the first thing they do and `extra` the last, so that our rows and Optuna's change together
    or not at all.

    >>> with transactions.writing(guard=lease_is_held, extra=insert_metrics):   # doctest: +SKIP
    ...     optuna_storage.set_trial_intermediate_value(trial_id, epoch, value)
    """

    def __init__(
        self,
        engine: Engine,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._patience = patience or Patience()
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = random.Random()
        self._current: ContextVar[Writing | None] = ContextVar("writing", default=None)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "begin", self._begin_sqlite)

    def _begin_sqlite(self, connection: Connection) -> None:
        # A deferred transaction that turns into a writing one fails at once where another one
        # writes: it cannot wait.
        current = self._current.get()
        if current is not None and current.urgent:
            _begin_before_others(connection)
        else:
            connection.exec_driver_sql("BEGIN" if current is None else "BEGIN IMMEDIATE")

    def attach(self, rdb: "RDBStorage") -> None:
        """Lets guards and extras run inside the transactions of Optuna's storage, which uses the
        same engine.
        """
        event.listen(rdb.scoped_session, "after_begin", self._after_begin)
        event.listen(rdb.scoped_session, "before_commit", self._before_commit)
        event.listen(rdb.scoped_session, "after_commit", self._after_commit)

    def _after_begin(self, session: "Session", transaction: object, connection: Connection) -> None:
        if (
            (writing := self._current.get()) is not None
            and writing.guard is not None
            and not writing.committed
        ):
            writing.guard(connection)

    def _before_commit(self, session: "Session") -> None:
        # Optuna reads in further transactions after the one that writes; those carry nothing.
        if (
            (writing := self._current.get()) is not None
            and writing.extra is not None
            and not writing.committed
        ):
            session.flush()
            writing.extra(session.connection())

    def _after_commit(self, session: "Session") -> None:
        if (writing := self._current.get()) is not None:
            writing.committed = True

    @contextmanager
    def writing(
        self,
        guard: TransactionPart | None = None,
        extra: TransactionPart | None = None,
        *,
        urgent: bool = False,
    ) -> Iterator[Writing]:
        """Transactions inside this block may write; in Optuna's, `guard` raises to refuse them.

        Those that are `urgent` do not wait their turn among SQLite's writers.
        """
        current = Writing(guard, extra, urgent)
        token = self._current.set(current)
        try:
            yield current
        finally:
            self._current.reset(token)

    @contextmanager
    def write(self, *, urgent: bool = False) -> Iterator[Connection]:
        """One writing transaction of ours."""
        with self.writing(urgent=urgent), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction of ours; on a server each statement sees what is committed when
        it starts.
        """
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One reading transaction of ours whose statements all see the same moment."""
        engine = self._engine
        if engine.dialect.name != "sqlite":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with engine.begin() as connection:
            yield connection

    def persist(self, operation: Callable[[bool], Result], seconds: float | None = None) -> Result:
        """Runs `operation(repeated)`, a whole transaction, until it goes through or passing errors
        last too long.

        A COMMIT without an answer is neither success nor failure: with `repeated` true the
        operation must first see whether it has been done already.

        Raises:
            StorageUnavailable: errors that pass have gone on for `seconds` (default: the patience).
        """
        bound = self._patience.seconds if seconds is None else seconds
        started, delay, said = self._monotonic(), self._patience.first_delay_seconds, False
        repeated = False
        while True:
            try:
                result = operation(repeated)
            except Exception as error:
                if not is_passing(error):
                    raise
                waited = self._monotonic() - started
                if waited >= bound:
                    raise StorageUnavailable.gone(waited, reason(error), mend(error)) from error
                if waited >= self._patience.say_after_seconds and not said:
                    said = True
                    log.warning(
                        "the database does not answer (%s): trying again for %.0f s",
                        reason(error),
                        bound,
                    )
                log.debug("repeated after: %s", reason(error))
                repeated = True
                self._sleep(self._jitter.uniform(0, delay))
                delay = min(delay * 2, self._patience.longest_delay_seconds)
            else:
                if said:
                    log.warning(
                        "the database answers again after %.0f s", self._monotonic() - started
                    )
                return result
