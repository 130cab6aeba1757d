"""Which trial a worker takes: a new one within the exact budget, or one of the dead."""

from collections.abc import Callable, Iterable
from enum import Enum
from functools import cache, partial

from optuna.storages import BaseStorage
from sqlalchemy import Connection, Row, Select, or_, select, update

from storage.clock import now_ms
from storage.computing import Computed, Computing
from storage.engine import Database
from storage.errors import StudyDeleted
from storage.hosts import has_died
from storage.leases.lease import ENDED_ELSEWHERE, Lease, LeaseTimes, Worker, close_attempt
from storage.leases.recording import Recording, forget_after
from storage.leases.watch import Watch
from storage.optuna_rows import delete_attributes, insert_trial
from storage.schema import (
    DUE_KEY,
    attempt,
    lease,
    optuna_trials,
    slot_trial,
    study,
    worker,
)
from storage.slots import Slot, next_free_slot, slot_of
from storage.studies import (
    Counts,
    StoredStudy,
    StudyState,
    count_trials,
    due,
    end_locked_if_due,
    lock_study,
    move,
    read_state,
)
from storage.study_data import DataChange, TrainingData, settle_data


class NothingToTake(Exception):
    """No trial can be taken now; `leased` ones are held by others, or wait for a study that is
    paused or has ended.
    """

    def __init__(self, state: StudyState, leased: int) -> None:
        super().__init__(f"no trial can be taken of a study that is {state}; {leased} are leased")
        self.state = state
        self.leased = leased


class NoNewTrial(Enum):
    """Why no new trial is made: one that is there can be taken up, or nothing more is to be done
    now.
    """

    OTHER_FIRST = "there is a trial to take up"
    NO_ROOM = "the study is not open, or its budget has no room"


class TrialLeases(Recording):
    """Takes trials of a study for one worker and records what becomes of them; a refused write
    raises LeaseLost.

    >>> lease = leases.acquire(stored)                          # doctest: +SKIP
    >>> leases.record_parameters(lease, values, distributions)
    >>> leases.report(lease, measurement, value)                # after each epoch
    >>> leases.finish(lease, "complete", value=0.98)
    """

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
        self._waits = False

    def acquire(
        self, stored: StoredStudy, most: int | None = None, data: TrainingData | None = None
    ) -> Lease:
        """Takes up a trial that its worker handed back or died over, else a new one if the budget
        has room.

        `most`: so many trials can be made at all, failed ones included; after these the study ends
        as exhausted. `data` is what the worker trains on, which the study's first trial records; a
        trial that was begun on other data begins anew. Made-up curves have none.

        Raises:
            NothingToTake: the study is not open, or all that is left is held by others.
            OtherData: the study is on other data.
            StudyDeleted: the study is gone.
        """
        if self._waits:
            self.look(stored, most)
        taken: Lease | None = None
        while taken is None:
            made = self._transactions.persist(lambda repeated: self._create(stored, most, data))
            if made is NoNewTrial.NO_ROOM:
                self._waits = True
                raise self._nothing(stored, most)
            taken = (
                self._transactions.persist(lambda repeated: self._take_over(stored, "open", data))
                if made is NoNewTrial.OTHER_FIRST
                else made
            )
        self._waits = False
        return taken

    def look(self, stored: StoredStudy, most: int | None = None) -> None:
        """Whether `acquire` is worth its lock now: it may still find that others were first.

        Raises:
            NothingToTake: the study is not open, or all that is left is held by others.
            StudyDeleted: the study is gone.
        """
        if not self._transactions.persist(lambda repeated: self._has_something(stored, most)):
            raise self._nothing(stored, most)

    def settle(self, stored: StoredStudy) -> int:
        """Ends the trials of an ended study that nobody works on any more; returns how many are
        still held.

        Raises:
            StudyDeleted: the study is gone.
        """
        while (
            taken := self._transactions.persist(lambda repeated: self._take_over(stored, "ended"))
        ) is not None:
            try:
                trial = self.persist_read(partial(self._optunas.get_trial, taken.trial_id))
            except KeyError:
                raise StudyDeleted(stored.name) from None
            reported = trial.intermediate_values
            last = reported[max(reported)] if reported else None
            # A training of a follow-up that was not finished leaves its slot to another.
            is_finished = bool(reported) and stored.follow_up is None
            self.finish(
                taken,
                "pruned" if is_finished else "failed",
                value=last if is_finished else None,
                cause="study ended",
                reason="the study ended" + ("" if reported else " before its first epoch"),
            )
        return self._transactions.persist(lambda repeated: self._count(stored))

    def _count(self, stored: StoredStudy) -> int:
        with self._transactions.read() as connection:
            return len(connection.execute(_leases_of(stored)).all())

    def look_out(self) -> None:
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

    def _has_something(self, stored: StoredStudy, most: int | None) -> bool:
        with self._transactions.read() as connection:
            state, timed_out = read_state(connection, stored)
            leases = connection.execute(_leases_of(stored)).all()
            if state != "open" or timed_out:
                return False
            if self._takeable(leases):
                return True
            budget = (
                connection.scalar(select(study.c.trials).where(study.c.study_id == stored.study_id))
                or 0
            )
            if stored.follow_up is not None:
                return next_free_slot(connection, stored.study_id) is not None
            counts = count_trials(connection, stored.study_id)
            return counts.finished + len(leases) < budget and not _exhausted(
                counts, len(leases), most
            )

    def _nothing(self, stored: StoredStudy, most: int | None) -> NothingToTake:
        def end(repeated: bool) -> NothingToTake:
            with self._transactions.read() as connection:
                state, timed_out = read_state(connection, stored)
                leased = len(connection.execute(_leases_of(stored)).all())
            if state == "open" and (timed_out or not leased):
                with self._transactions.write() as connection:
                    row = lock_study(connection, stored)
                    state = end_locked_if_due(connection, row)
                    counts = count_trials(connection, stored.study_id)
                    leased = len(connection.execute(_leases_of(stored)).all())
                    if state == "open" and not leased and _exhausted(counts, leased, most):
                        move(
                            connection, row, "ended", "exhausted" if counts.finished else "failures"
                        )
                        state = "ended"
            return NothingToTake(state, leased)

        return self._transactions.persist(end)

    def _create(
        self, stored: StoredStudy, most: int | None, data: TrainingData | None
    ) -> Lease | NoNewTrial:
        with self._transactions.write() as connection:
            row = lock_study(connection, stored)
            leases = connection.execute(_leases_of(stored)).all()
            counts = count_trials(connection, stored.study_id)
            if row.state == "open" and self._takeable(leases):
                return NoNewTrial.OTHER_FIRST
            if row.state != "open" or due(row, counts) is not None:
                return NoNewTrial.NO_ROOM
            if counts.finished + len(leases) >= row.trials or _exhausted(counts, len(leases), most):
                return NoNewTrial.NO_ROOM
            given = self._free_slot(connection, stored)
            if stored.follow_up is not None and given is None:
                return NoNewTrial.NO_ROOM
            change = settle_data(connection, stored, row, data)
            return self._made(connection, stored, data, change, given)

    def _made(
        self,
        connection: Connection,
        stored: StoredStudy,
        data: TrainingData | None,
        change: DataChange | None,
        given: Slot | None,
    ) -> Lease:
        """A new trial of the study, whose row is locked, and its lease."""
        trial_id, number = insert_trial(connection, stored.study_id)
        me = self.worker
        computing = me.computing
        if given is not None and given.computed is not None:
            computing = given.computed.goes_on_with(computing, me.device, me.most_threads)
        taken = Lease(
            stored,
            trial_id,
            number,
            me.id,
            1,
            computing,
            is_new=True,
            data_change=change,
            slot=given,
        )
        if given is not None:
            connection.execute(slot_trial.insert().values(trial_id=trial_id, slot=given.index))
        connection.execute(lease.insert().values(trial_id=trial_id, attempt=1, **self._holder()))
        self._open_attempt(connection, taken, None if data is None else data.fingerprint)
        if stored.started_ms is None:
            connection.execute(
                update(study)
                .where(study.c.study_id == stored.study_id, study.c.started_ms.is_(None))
                .values(started_ms=now_ms())
            )
        return taken

    def _free_slot(self, connection: Connection, stored: StoredStudy) -> Slot | None:
        return None if stored.follow_up is None else next_free_slot(connection, stored.study_id)

    def _slot(self, connection: Connection, stored: StoredStudy, trial_id: int) -> Slot | None:
        return None if stored.follow_up is None else slot_of(connection, stored.study_id, trial_id)

    def _takeable(
        self, leases: Iterable[Row[tuple[object, ...]]]
    ) -> list[tuple[Row[tuple[object, ...]], str]]:
        """The leases whose trials this worker may take up, each with the reason."""
        died = cache(has_died)  # a process may hold many: it is looked for once
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
            return "ours"  # a COMMIT that took it went unanswered
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
            for found, reason in self._takeable(connection.execute(_leases_of(stored)).all()):
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
            # it beats again if it lives
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


def _exhausted(counts: Counts, leased: int, most: int | None) -> bool:
    return most is not None and counts.finished + counts.failed + leased >= most


def _leases_of(stored: StoredStudy) -> Select[tuple[object, ...]]:
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
