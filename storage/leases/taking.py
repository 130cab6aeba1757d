"""Which trial a worker takes: a new one within the exact budget, or one of the dead."""

from enum import Enum
from functools import partial

from optuna.storages import BaseStorage
from sqlalchemy import Connection, select, update

from storage.clock import now_ms
from storage.engine import Database
from storage.errors import StudyDeleted
from storage.leases.lease import Lease, LeaseTimes, Worker
from storage.leases.takeover import Takeover, leases_of
from storage.leases.watch import Watch
from storage.optuna_rows import insert_trial
from storage.schema import (
    lease,
    slot_trial,
    study,
)
from storage.slots import Slot, next_free_slot
from storage.studies import StoredStudy, StudyState
from storage.study_data import DataChange, TrainingData, settle_data
from storage.study_states import (
    Counts,
    count_trials,
    due,
    end_locked_if_due,
    lock_study,
    move,
    read_state,
)


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


class TrialLeases(Takeover):
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
        super().__init__(database, optunas, me, times, watch)
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
            return len(connection.execute(leases_of(stored)).all())

    def _has_something(self, stored: StoredStudy, most: int | None) -> bool:
        with self._transactions.read() as connection:
            state, timed_out = read_state(connection, stored)
            leases = connection.execute(leases_of(stored)).all()
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
                leased = len(connection.execute(leases_of(stored)).all())
            if state == "open" and (timed_out or not leased):
                with self._transactions.write() as connection:
                    row = lock_study(connection, stored)
                    state = end_locked_if_due(connection, row)
                    counts = count_trials(connection, stored.study_id)
                    leased = len(connection.execute(leases_of(stored)).all())
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
            leases = connection.execute(leases_of(stored)).all()
            counts = count_trials(connection, stored.study_id)
            if row.state == "open" and self._takeable(leases):
                return NoNewTrial.OTHER_FIRST
            if row.state != "open" or due(connection, row, counts) is not None:
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


def _exhausted(counts: Counts, leased: int, most: int | None) -> bool:
    return most is not None and counts.finished + counts.failed + leased >= most
