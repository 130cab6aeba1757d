"""Trials that other workers have left, handed back or died over, and how they are taken over."""

from collections.abc import Callable, Iterable
from functools import cache

from optuna.storages import BaseStorage
from sqlalchemy import Connection, Row, Select, or_, select, update

from storage.clock import now_ms
from storage.computing import Computed, Computing
from storage.engine import Database
from storage.hosts import has_died
from storage.leases.lease import ENDED_ELSEWHERE, Lease, LeaseTimes, Worker, close_attempt
from storage.leases.recording import Recording, forget_after
from storage.leases.watch import Watch
from storage.optuna_rows import delete_attributes
from storage.schema import DUE_KEY, attempt, lease, optuna_trials, worker
from storage.slots import Slot, slot_of
from storage.studies import StoredStudy, StudyState
from storage.study_data import DataChange, TrainingData, settle_data
from storage.study_states import lock_study


class Takeover(Recording):
    """Takes up trials that were begun before; a refused write raises LeaseLost."""

    def __init__(
        self,
        database: Database,
        optunas: BaseStorage,
        me: Worker,
        times: LeaseTimes | None = None,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(database, optunas, me, times)
        self.watch = watch or Watch(self.times)

    def note_expired_leases(self) -> None:
        """Notes which leases give no sign of life, of all studies: those of the dead on other
        machines.

        For the keeper, after a sign of life of its own: where nobody can write, a full disk or a
        frozen writer of SQLite, leases can still be read, and all would look dead.
        """
        limit_ms = round(2000 * self.times.lease)
        # An expiry far ahead is one from before the database's clock was set back.
        gone_by = or_(lease.c.expires_ms <= now_ms(), lease.c.expires_ms > now_ms() + limit_ms)
        with self._transactions.read() as connection:
            expired = connection.execute(
                select(lease).where(lease.c.owner.is_not(None), gone_by)
            ).all()
        self.watch.see(expired)

    def _takeable(
        self, leases: Iterable[Row[tuple[object, ...]]]
    ) -> list[tuple[Row[tuple[object, ...]], str]]:
        """The leases whose trials this worker may take up, each with the reason."""
        # A process may hold many leases, so it is looked for once.
        died = cache(has_died)
        reasons = ((row, self._reason_to_take(row, died)) for row in leases)
        return [(row, reason) for row, reason in reasons if reason is not None]

    def _reason_to_take(
        self, row: Row[tuple[object, ...]], died: Callable[[int, float], bool]
    ) -> str | None:
        """Why this worker may take the trial of a lease up; `None` where its owner is, or may be,
        alive.
        """
        if row.state != "RUNNING":
            return ENDED_ELSEWHERE
        if row.owner is None:
            return "handed back"
        if row.owner == self.worker.id:
            # The COMMIT that took this lease went unanswered.
            return "ours"
        if row.machine == self.worker.machine and died(row.pid, row.process_started):
            return "its process is gone"
        return "no sign of life" if self.watch.is_silent(row) else None

    def _take_over(
        self, stored: StoredStudy, state: StudyState, data: TrainingData | None = None
    ) -> Lease | None:
        with self._transactions.write() as connection:
            row = lock_study(connection, stored)
            if row.state != state:
                return None
            for found, reason in self._takeable(connection.execute(leases_of(stored)).all()):
                if reason == ENDED_ELSEWHERE:
                    connection.execute(lease.delete().where(lease.c.trial_id == found.trial_id))
                    close_attempt(connection, found, "lost", reason)
                    continue
                if reason == "ours":
                    own = _attempt_of(connection, found)
                    computing = Computing(own.threads, own.piece)
                    return Lease(
                        stored,
                        found.trial_id,
                        found.number,
                        self.worker.id,
                        found.attempt,
                        computing,
                        slot=self._slot(connection, stored, found.trial_id),
                    )
                change = settle_data(connection, stored, row, data)
                return self._adopt(
                    connection, stored, found, None if found.owner is None else reason, data, change
                )
        return None

    def _adopt(
        self,
        connection: Connection,
        stored: StoredStudy,
        found: Row[tuple[object, ...]],
        lost: str | None,
        data: TrainingData | None,
        change: DataChange | None,
    ) -> Lease:
        if lost is not None:
            close_attempt(connection, found, "lost", lost)
            # The worker beats again if it lives.
            connection.execute(worker.delete().where(worker.c.worker_id == found.owner))
        before = _attempt_of(connection, found)
        me, computed = self.worker, Computed(before.device, before.threads, before.piece)
        computing = computed.goes_on_with(me.computing, me.device, me.most_threads)
        taken = Lease(
            stored,
            found.trial_id,
            found.number,
            me.id,
            found.attempt + 1,
            computing,
            data_change=change,
            slot=self._slot(connection, stored, found.trial_id),
        )
        connection.execute(
            update(lease)
            .where(lease.c.trial_id == found.trial_id)
            .values(**self._holder(), attempt=taken.attempt)
        )
        # What is recorded of a trial on other data is no beginning of it.
        if data is not None and data.fingerprint != before.data_fingerprint:
            forget_after(connection, taken, 0)
            delete_attributes(connection, taken.trial_id, [DUE_KEY])
        # Whoever takes a trial without data trains nothing, and leaves what is recorded as it is.
        self._open_attempt(
            connection, taken, before.data_fingerprint if data is None else data.fingerprint
        )
        return taken

    def _slot(self, connection: Connection, stored: StoredStudy, trial_id: int) -> Slot | None:
        return None if stored.follow_up is None else slot_of(connection, stored.study_id, trial_id)

    def _open_attempt(
        self, connection: Connection, taken: Lease, data_fingerprint: str | None
    ) -> None:
        connection.execute(
            attempt.insert().values(
                trial_id=taken.trial_id,
                attempt=taken.attempt,
                owner=taken.owner,
                host=self.worker.host,
                device=self.worker.device,
                threads=taken.computing.threads,
                piece=taken.computing.piece,
                started_ms=now_ms(),
                data_fingerprint=data_fingerprint,
            )
        )


def leases_of(stored: StoredStudy) -> Select[tuple[object, ...]]:
    """The leases of a study, each with its trial's number and Optuna's state, in order."""
    return (
        select(lease, optuna_trials.c.number, optuna_trials.c.state)
        .join(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
        .where(optuna_trials.c.study_id == stored.study_id)
        .order_by(optuna_trials.c.number)
    )


def _attempt_of(connection: Connection, found: Row[tuple[object, ...]]) -> Row[tuple[object, ...]]:
    """The attempt of a lease."""
    of_lease = (attempt.c.trial_id == found.trial_id) & (attempt.c.attempt == found.attempt)
    return connection.execute(select(attempt).where(of_lease)).one()
