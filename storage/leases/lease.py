"""The right to write a trial: who holds it, how it is renewed and given up."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from optuna.storages import BaseStorage
from sqlalchemy import Connection, Row, Select, Update, exists, select, update
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from storage.clock import now_ms
from storage.computing import Computing
from storage.engine import Database
from storage.errors import LeaseLost
from storage.schema import (
    attempt,
    lease,
    optuna_trials,
    worker,
)
from storage.slots import Slot
from storage.studies import (
    StoredStudy,
)
from storage.study_data import DataChange
from storage.transactions import Result

# Plain Optuna has ended the trial, and nothing is left to do.
ENDED_ELSEWHERE = "ended by another program"


# Whoever leaves waits no longer than this for a database that is away.
HAND_BACK_SECONDS = 5.0


# Rows of workers that died so long ago are swept.
FORGOTTEN_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class LeaseTimes:
    """How leases are kept and lost, in seconds."""

    # Without a renewal a lease expires after this time.
    lease: float = 60.0
    renewal: float = 15.0
    # An expiry alone would take trials from the living after an outage or a jump of the clock: who
    # takes one over has itself seen it without a sign of life for so long. Longer than a renewal
    # and the longest delay of a repetition.
    watch: float = 20.0
    # Training that has not moved for so long, or for so many median epochs, loses its lease.
    hung: float = 120.0
    hung_epochs: float = 10.0


@dataclass(frozen=True)
class Worker:
    """What takes trials, as leases and attempts record it."""

    id: str
    host: str
    # The `pid` means something on this machine alone.
    machine: str
    pid: int
    # The start is as `hosts.process_start` gives it.
    process_started: float
    device: str
    # The worker computes its new trials so.
    computing: Computing
    # It computes with so many threads at most, where a trial was begun with more than its own.
    most_threads: int = 64


@dataclass(frozen=True)
class Lease:
    """The right to write one trial: this owner's, in this attempt."""

    stored: StoredStudy
    trial_id: int
    number: int
    owner: str
    attempt: int
    # The trial is computed so, whoever began it.
    computing: Computing
    # A trial that was made for this lease has nothing recorded of it yet.
    is_new: bool = False
    # Taking the trial has changed this of the study's data.
    data_change: DataChange | None = None
    # The trial trains this slot, where the study is a follow-up.
    slot: Slot | None = None


class WorkerSession:
    """One worker on a database: its signs of life, and the fence that its writes pass.

    Every transaction is repeated whole, with its fence, while the database is away
    (storage.transactions).
    """

    def __init__(
        self, database: Database, optunas: BaseStorage, me: Worker, times: LeaseTimes | None = None
    ) -> None:
        self._transactions = database.transactions
        self._optunas = optunas
        self.worker = me
        self.times = times or LeaseTimes()

    def computes_on(self, device: str, computing: Computing) -> None:
        """From now on the worker computes there, and its new trials so."""
        self.worker = replace(self.worker, device=device, computing=computing)

    def beat(self, held: Lease | None) -> bool:
        """A sign of life of the worker, and of the trial that it holds; `False` where that one is
        lost.

        Not repeated where the database is away: the next one will do. Urgent, as others take the
        trial of whoever is silent for the watch.
        """
        me = self.worker
        with self._transactions.write(urgent=True) as connection:
            renewed = held is None or self._renewed(connection, held)
            row = {
                "device": me.device,
                "threads": me.computing.threads,
                "expires_ms": self._expiry(),
            }
            if (
                connection.execute(
                    update(worker).where(worker.c.worker_id == me.id).values(row)
                ).rowcount
                == 0
            ):
                connection.execute(
                    worker.delete().where(worker.c.expires_ms < now_ms() - FORGOTTEN_MS)
                )
                connection.execute(
                    worker.insert().values(
                        worker_id=me.id,
                        host=me.host,
                        machine=me.machine,
                        pid=me.pid,
                        process_started=me.process_started,
                        started_ms=now_ms(),
                        **row,
                    )
                )
        return renewed

    def leave(self) -> None:
        """The worker ends: it is no longer shown as alive. Not repeated: it will expire.

        A trial that it still has, as its hand-back was interrupted, is handed back: its process may
        live on.
        """
        mine = lease.c.owner == self.worker.id
        held: Select[tuple[object, ...]] = select(lease.c.trial_id, lease.c.attempt).where(mine)
        with self._transactions.write() as connection:
            for each in connection.execute(held).all():
                close_attempt(connection, each, "handed_back", None)
            connection.execute(
                update(lease).where(mine).values(owner=None, beat_ms=now_ms(), expires_ms=now_ms())
            )
            connection.execute(worker.delete().where(worker.c.worker_id == self.worker.id))

    def persist_read(self, query: Callable[[], Result]) -> Result:
        """Repeats a query of Optuna's while the database is away. Raises StorageUnavailable when
        that lasts.
        """
        return self._transactions.persist(lambda repeated: query())

    def _renew(self, connection: Connection, held: Lease) -> None:
        if not self._renewed(connection, held):
            raise LeaseLost(held.trial_id)

    def _renewed(self, connection: Connection, held: Lease) -> bool:
        statement = where_held(update(lease), held).values(
            beat_ms=now_ms(), expires_ms=self._expiry()
        )
        return connection.execute(statement).rowcount == 1

    def _expiry(self) -> ColumnElement[int]:
        return now_ms() + round(1000 * self.times.lease)

    def _holder(self) -> dict[str, str | int | float | FunctionElement[int] | ColumnElement[int]]:
        me = self.worker
        return {
            "owner": me.id,
            "host": me.host,
            "machine": me.machine,
            "pid": me.pid,
            "process_started": me.process_started,
            "beat_ms": now_ms(),
            "expires_ms": self._expiry(),
        }


def close_attempt(
    connection: Connection,
    of: Lease | Row[tuple[object, ...]],
    outcome: str,
    reason: str | None,
    cause: str | None = None,
) -> None:
    connection.execute(
        update(attempt)
        .where(attempt.c.trial_id == of.trial_id, attempt.c.attempt == of.attempt)
        .values(outcome=outcome, reason=reason, cause=cause, ended_ms=now_ms())
    )


def where_held(statement: Update, held: Lease) -> Update:
    still_running = exists().where(
        optuna_trials.c.trial_id == held.trial_id, optuna_trials.c.state == "RUNNING"
    )
    return statement.where(
        lease.c.trial_id == held.trial_id,
        lease.c.owner == held.owner,
        lease.c.attempt == held.attempt,
        still_running,
    )
