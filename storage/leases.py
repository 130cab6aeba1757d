"""Who holds which trial, the exact budget, and taking over from the dead."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field, asdict, dataclass, replace
from functools import cache, partial
from typing import ClassVar, Literal, Protocol

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import Connection, Row, Select, Update, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from storage.clock import now_ms
from storage.computing import Computed, Computing
from storage.engine import Database
from storage.errors import LeaseLost, StudyDeleted
from storage.hosts import has_died
from storage.schema import (
    DUE_KEY,
    attempt,
    epoch,
    intermediate_value_to_stored,
    lease,
    optuna_intermediate_values,
    optuna_params,
    optuna_system_attributes,
    optuna_trials,
    study,
    worker,
)
from storage.studies import (
    Counts,
    StoredStudy,
    StudyState,
    count_trials,
    due,
    end_if_due,
    end_locked_if_due,
    lock_study,
    move,
    read_state,
)
from storage.study_data import DataChange, TrainingData, settle_data
from storage.transactions import Result, Step

Outcome = Literal["complete", "pruned", "failed"]
# Which outcome may end an attempt that is open (None): the others end it and leave the trial to the
# next.
ENDS_TRIAL: dict[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
# A trial that takes its workers with it is given up: after so many that died in it without an
# epoch, or in all.
BARREN_CAP = 3
LOST_CAP = 10
ENDED_ELSEWHERE = "ended by another program"  # by plain Optuna: nothing is left to do
HAND_BACK_SECONDS = 5.0  # whoever leaves waits no longer for a database that is away
FORGOTTEN_MS = 24 * 3600 * 1000  # rows of workers that died so long ago are swept


class EpochMetrics(Protocol):
    """What is recorded of an epoch: a dataclass with the columns of the epoch table
    (objectives.Measurement).
    """

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    @property
    def epoch(self) -> int: ...


class CheckpointName(Protocol):
    """The file of a checkpoint in the trial's folder (objectives.checkpoint.SavedCheckpoint)."""

    @property
    def epoch(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class LeaseTimes:
    """How leases are kept and lost, in seconds."""

    lease: float = 60.0  # without a renewal it expires
    renewal: float = 15.0
    # An expiry alone would take trials from the living after an outage or a jump of the clock: who
    # takes one over has itself seen it without a sign of life for so long. Longer than a renewal
    # and the longest delay of a repetition.
    watch: float = 20.0
    # training that has not moved for so long, or for so many median epochs, loses its lease
    hung: float = 120.0
    hung_epochs: float = 10.0


@dataclass(frozen=True)
class Worker:
    """What takes trials, as leases and attempts record it."""

    id: str
    host: str
    machine: str  # where `pid` means something
    pid: int
    process_started: float  # hosts.process_start
    device: str
    computing: Computing  # of its new trials
    most_threads: int = 64  # that it computes with where a trial was begun with them


@dataclass(frozen=True)
class Lease:
    """The right to write one trial: this owner's, in this attempt."""

    stored: StoredStudy
    trial_id: int
    number: int
    owner: str
    attempt: int
    computing: Computing  # how the trial is computed, whoever began it
    is_new: bool = False  # the trial was made for this lease: nothing is recorded of it yet
    data_change: DataChange | None = None  # what taking the trial has changed of the study's data


class NothingToTake(Exception):
    """No trial can be taken now; `leased` ones are held by others, or wait for a study that is
    paused or has ended.
    """

    def __init__(self, state: StudyState, leased: int) -> None:
        super().__init__(f"no trial can be taken of a study that is {state}; {leased} are leased")
        self.state = state
        self.leased = leased


class Watch:
    """Which leases have given no sign of life while this process looked on, by its own monotonic
    clock.

    >>> watch.see(rows)          # doctest: +SKIP
    >>> watch.is_silent(row)     # seen unchanged for times.watch seconds of unbroken contact
    """

    def __init__(self, times: LeaseTimes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._watch_seconds = times.watch
        self._monotonic = monotonic
        self._last_look: float | None = None
        self._since: dict[tuple[int, int, int], float] = {}
        self._lock = threading.Lock()

    def see(self, expired: Iterable[Row[tuple[object, ...]]]) -> None:
        """All leases that have expired, as read just now. After half a watch without a look all is
        seen anew.
        """
        with self._lock:
            now = self._monotonic()
            unbroken = (
                self._last_look is not None and now - self._last_look <= self._watch_seconds / 2
            )
            before = self._since if unbroken else {}
            self._since = {key: before.get(key, now) for key in map(_sign_of_life, expired)}
            self._last_look = now

    def is_silent(self, row: Row[tuple[object, ...]]) -> bool:
        """Whether the lease has stood as it is for the whole watch."""
        with self._lock:
            now, since = self._monotonic(), self._since.get(_sign_of_life(row))
            looks = self._last_look is not None and now - self._last_look <= self._watch_seconds / 2
            return looks and since is not None and now - since >= self._watch_seconds


def _sign_of_life(row: Row[tuple[object, ...]]) -> tuple[int, int, int]:
    return row.trial_id, row.attempt, row.beat_ms


class _Takeable(Exception):
    # There is a trial to take up; no new one is made.
    pass


class _NoRoom(Exception):
    pass


class TrialLeases:
    """Takes trials of a study for one worker and records what becomes of them; a refused write
    raises LeaseLost.

    Every transaction is repeated whole, with its fence, while the database is away
    (storage.transactions).

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
        self._transactions = database.transactions
        self._optunas = optunas
        self.worker = me
        self.times = times or LeaseTimes()
        self.watch = watch or Watch(self.times)
        self._waits = False

    def computes_on(self, device: str, computing: Computing) -> None:
        """From now on the worker computes there, and its new trials so."""
        self.worker = replace(self.worker, device=device, computing=computing)

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
            try:
                taken = self._transactions.persist(
                    lambda repeated: self._create(stored, most, data)
                )
            except _NoRoom:
                self._waits = True
                raise self._nothing(stored, most) from None
            except _Takeable:
                taken = self._transactions.persist(
                    lambda repeated: self._take_over(stored, "open", data)
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
            if reported:
                self.finish(
                    taken, "pruned", value=reported[max(reported)], reason="the study ended"
                )
            else:
                self.finish(taken, "failed", reason="the study ended before its first epoch")
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

    def _create(self, stored: StoredStudy, most: int | None, data: TrainingData | None) -> Lease:
        taken: list[Lease] = []
        changes: list[DataChange | None] = []

        def room_is_left(connection: Connection) -> None:
            row = lock_study(connection, stored)
            leases = connection.execute(_leases_of(stored)).all()
            counts = count_trials(connection, stored.study_id)
            if row.state == "open" and self._takeable(leases):
                raise _Takeable
            if row.state != "open" or due(row, counts) is not None:
                raise _NoRoom
            if counts.finished + len(leases) >= row.trials or _exhausted(counts, len(leases), most):
                raise _NoRoom
            changes.append(settle_data(connection, stored, row, data))

        def insert_lease(connection: Connection) -> None:
            # The study's row is locked: the newest trial is the one of this transaction.
            row = connection.execute(
                select(optuna_trials.c.trial_id, optuna_trials.c.number)
                .where(optuna_trials.c.study_id == stored.study_id)
                .order_by(optuna_trials.c.trial_id.desc())
                .limit(1)
            ).one()
            me, change = self.worker, changes[-1]
            taken.append(
                Lease(
                    stored,
                    row.trial_id,
                    row.number,
                    me.id,
                    1,
                    me.computing,
                    is_new=True,
                    data_change=change,
                )
            )
            connection.execute(
                lease.insert().values(trial_id=row.trial_id, attempt=1, **self._holder())
            )
            self._open_attempt(connection, taken[-1], None if data is None else data.fingerprint)
            if stored.started_ms is None:
                connection.execute(
                    update(study)
                    .where(study.c.study_id == stored.study_id, study.c.started_ms.is_(None))
                    .values(started_ms=now_ms())
                )

        with self._transactions.writing(guard=room_is_left, extra=insert_lease):
            self._optunas.create_new_trial(stored.study_id)
        return taken[-1]

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
                    _close_attempt(connection, found, "lost", reason)
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
            _close_attempt(connection, found, "lost", lost)
            connection.execute(
                worker.delete().where(worker.c.worker_id == found.owner)
            )  # it beats again if it lives
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
        )
        connection.execute(
            update(lease)
            .where(lease.c.trial_id == found.trial_id)
            .values(**self._holder(), attempt=taken.attempt)
        )
        # What is recorded of a trial on other data is no beginning of it.
        if data is not None and data.fingerprint != before.data_fingerprint:
            _forget_after(connection, taken, 0)
            _delete_attributes(connection, taken, [DUE_KEY])
        # Whoever takes a trial without data trains nothing, and leaves what is recorded as it is.
        self._open_attempt(
            connection, taken, before.data_fingerprint if data is None else data.fingerprint
        )
        return taken

    def times_lost(self, held: Lease) -> int | None:
        """How many workers have died in this trial, on these data, if that is too many for another
        one to try.
        """
        last_recorded = select(func.coalesce(func.max(epoch.c.attempt), 0)).where(
            epoch.c.trial_id == held.trial_id
        )
        lost = select(attempt.c.attempt, attempt.c.data_fingerprint).where(
            attempt.c.trial_id == held.trial_id, attempt.c.outcome == "lost"
        )

        def count(repeated: bool) -> tuple[int, int]:
            with self._transactions.read() as connection:
                recorded = connection.scalar(last_recorded) or 0
                fingerprint = _fingerprint_of(connection, held)
                attempts = [
                    row.attempt
                    for row in connection.execute(lost)
                    if row.data_fingerprint == fingerprint
                ]
            return len(attempts), sum(number > recorded for number in attempts)

        in_all, barren = self._transactions.persist(count)
        return in_all if barren >= BARREN_CAP or in_all >= LOST_CAP else None

    def resume_at(self, held: Lease, epochs: int) -> None:
        """Forgets what earlier attempts recorded after so many epochs: it is measured again.

        Raises:
            LeaseLost: the trial is not this owner's.
        """

        def forget(repeated: bool) -> None:
            with self._transactions.write() as connection:
                self._renew(connection, held)
                _forget_after(connection, held, epochs)

        self._transactions.persist(forget)

    def record_parameters(
        self,
        held: Lease,
        values: Mapping[str, float],
        distributions: Mapping[str, BaseDistribution],
        system_attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Records the trial's parameters once, in Optuna's internal representation, in one
        transaction.

        `system_attributes` are what the sampler left beside them, as JSON texts.

        Raises:
            LeaseLost: the trial is not this owner's.
        """

        def insert(repeated: bool) -> None:
            with self._transactions.write() as connection:
                self._renew(connection, held)
                there = (
                    select(optuna_params.c.param_id)
                    .where(optuna_params.c.trial_id == held.trial_id)
                    .limit(1)
                )
                if repeated and connection.execute(there).first() is not None:
                    return
                rows = [
                    {
                        "trial_id": held.trial_id,
                        "param_name": name,
                        "param_value": value,
                        "distribution_json": distribution_to_json(distributions[name]),
                    }
                    for name, value in values.items()
                ]
                if rows:
                    connection.execute(optuna_params.insert(), rows)
                _insert_attributes(connection, held, system_attributes or {})

        self._transactions.persist(insert)

    def report(
        self,
        held: Lease,
        metrics: EpochMetrics,
        value: float,
        checkpoint: CheckpointName | None = None,
        system_attributes: Mapping[str, str] | None = None,
    ) -> StudyState:
        """Records an epoch and `value`, the study's metric (Optuna's intermediate value); returns
        the study's state.

        `system_attributes` are what is known of the trial since this epoch, as JSON texts.

        Raises:
            LeaseLost: the trial is not this owner's.
        """
        row = {
            "trial_id": held.trial_id,
            "attempt": held.attempt,
            **asdict(metrics),
            "checkpoint": None if checkpoint is None else checkpoint.name,
            "checkpoint_sha256": None if checkpoint is None else checkpoint.sha256,
        }
        reports = optuna_intermediate_values
        stored_value, value_type = intermediate_value_to_stored(value)
        reported = {
            "trial_id": held.trial_id,
            "step": metrics.epoch,
            "intermediate_value": stored_value,
            "intermediate_value_type": value_type,
        }

        def write(repeated: bool) -> tuple[StudyState, bool]:
            with self._transactions.write() as connection:
                self._renew(connection, held)
                if repeated:
                    of_trial = epoch.c.trial_id == held.trial_id
                    connection.execute(
                        epoch.delete().where(of_trial, epoch.c.epoch == metrics.epoch)
                    )
                    of_trial = reports.c.trial_id == held.trial_id
                    connection.execute(
                        reports.delete().where(of_trial, reports.c.step == metrics.epoch)
                    )
                    if system_attributes:
                        _delete_attributes(connection, held, system_attributes)
                connection.execute(epoch.insert(), row)
                connection.execute(reports.insert(), reported)
                _insert_attributes(connection, held, system_attributes or {})
                return read_state(connection, held.stored)

        try:
            state, timed_out = self._transactions.persist(write)
        except IntegrityError:  # another program has reported this step
            state, timed_out = self._transactions.persist(lambda repeated: write(True))
        return self._end_if_due(held.stored) if timed_out else state

    def _end_if_due(self, stored: StoredStudy) -> StudyState:
        def end(repeated: bool) -> StudyState:
            with self._transactions.write() as connection:
                return end_if_due(connection, stored)

        return self._transactions.persist(end)

    def finish(
        self,
        held: Lease,
        outcome: Outcome,
        *,
        value: float | None = None,
        costs: Sequence[float] = (),
        reason: str | None = None,
        system_attributes: Mapping[str, str] | None = None,
    ) -> StudyState:
        """Ends the trial and gives the lease up, with `system_attributes` as JSON texts; returns
        the study's state.

        `costs` are the values of the study's further objectives.

        Raises:
            LeaseLost: the trial is not this owner's.
        """

        rows: list[Row[tuple[object, ...]]] = []

        def locked_and_held(connection: Connection) -> None:
            rows.append(lock_study(connection, held.stored))
            self._renew(connection, held)

        def write(repeated: bool) -> StudyState:
            states: list[StudyState] = []

            def close(connection: Connection) -> None:
                _insert_attributes(connection, held, system_attributes or {})
                connection.execute(lease.delete().where(lease.c.trial_id == held.trial_id))
                _close_attempt(connection, held, outcome, reason)
                states.append(end_locked_if_due(connection, rows[-1]))

            if repeated and self._has_ended(held, outcome):
                return self._end_if_due(held.stored)
            with self._optunas_write(held, locked_and_held, close):
                self._optunas.set_trial_state_values(
                    held.trial_id, ENDS_TRIAL[outcome], None if value is None else [value, *costs]
                )
            return states[-1]

        return self._transactions.persist(write)

    def _has_ended(self, held: Lease, outcome: Outcome) -> bool:
        """Whether a COMMIT without an answer went through."""
        with self._transactions.read() as connection:
            return _outcome_of(connection, held) == outcome

    def unsaved_epoch(self, held: Lease, seconds: float = HAND_BACK_SECONDS) -> int | None:
        """The last recorded epoch of the trial, if no checkpoint of it is named and the lease is
        not lost.

        Raises:
            StorageUnavailable: the database has not answered for `seconds`.
        """
        still_held = exists().where(
            lease.c.trial_id == held.trial_id,
            lease.c.owner == held.owner,
            lease.c.attempt == held.attempt,
        )
        last = (
            select(epoch.c.epoch, epoch.c.checkpoint)
            .where(epoch.c.trial_id == held.trial_id, still_held)
            .order_by(epoch.c.epoch.desc())
            .limit(1)
        )

        def read(repeated: bool) -> int | None:
            with self._transactions.read() as connection:
                found = connection.execute(last).first()
            return None if found is None or found.checkpoint is not None else found.epoch

        return self._transactions.persist(read, seconds)

    def hand_back(
        self,
        held: Lease,
        outcome: str = "handed_back",
        reason: str | None = None,
        checkpoint: CheckpointName | None = None,
        seconds: float = HAND_BACK_SECONDS,
    ) -> bool:
        """Gives the trial up for the next worker, and names the checkpoint of a recorded epoch for
        it to go on from.

        `False` where the lease is lost already: nothing changes.

        Raises:
            StorageUnavailable: the database has not answered for `seconds`; then the lease expires.
        """

        def give(repeated: bool) -> bool:
            with self._transactions.write() as connection:
                given = connection.execute(
                    _where_held(update(lease), held).values(
                        owner=None, beat_ms=now_ms(), expires_ms=now_ms()
                    )
                )
                if given.rowcount == 0:  # after a COMMIT without an answer it may be our own doing
                    return repeated and _outcome_of(connection, held) == outcome
                _close_attempt(connection, held, outcome, reason)
                if checkpoint is not None:
                    connection.execute(
                        update(epoch)
                        .where(epoch.c.trial_id == held.trial_id, epoch.c.epoch == checkpoint.epoch)
                        .values(checkpoint=checkpoint.name, checkpoint_sha256=checkpoint.sha256)
                    )
                return True

        return self._transactions.persist(give, seconds)

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
                _close_attempt(connection, each, "handed_back", None)
            connection.execute(
                update(lease).where(mine).values(owner=None, beat_ms=now_ms(), expires_ms=now_ms())
            )
            connection.execute(worker.delete().where(worker.c.worker_id == self.worker.id))

    def persist_read(self, query: Callable[[], Result]) -> Result:
        """Repeats a query of Optuna's while the database is away. Raises StorageUnavailable when
        that lasts.
        """
        return self._transactions.persist(lambda repeated: query())

    @contextmanager
    def fenced(self, held: Lease, extra: Step | None = None) -> Iterator[None]:
        """Optuna's writing transaction inside this block needs the lease, and carries `extra`.

        Raises:
            LeaseLost: the trial has another owner or attempt, or none, or has ended; or Optuna did
                not commit.
        """
        with self._optunas_write(held, lambda connection: self._renew(connection, held), extra):
            yield

    @contextmanager
    def _optunas_write(self, held: Lease, guard: Step, extra: Step | None) -> Iterator[None]:
        with self._transactions.writing(guard, extra) as writing:
            try:
                yield
            except (KeyError, UpdateFinishedTrialError):  # deleted, or ended by plain Optuna
                raise LeaseLost(held.trial_id) from None
        if not writing.committed:  # Optuna keeps some integrity errors to itself
            raise LeaseLost(held.trial_id)

    def _renew(self, connection: Connection, held: Lease) -> None:
        if not self._renewed(connection, held):
            raise LeaseLost(held.trial_id)

    def _renewed(self, connection: Connection, held: Lease) -> bool:
        statement = _where_held(update(lease), held).values(
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


def _close_attempt(
    connection: Connection, of: Lease | Row[tuple[object, ...]], outcome: str, reason: str | None
) -> None:
    connection.execute(
        update(attempt)
        .where(attempt.c.trial_id == of.trial_id, attempt.c.attempt == of.attempt)
        .values(outcome=outcome, reason=reason, ended_ms=now_ms())
    )


def _outcome_of(connection: Connection, held: Lease) -> str | None:
    """How the attempt of this lease ended; `None` while it has not."""
    own = select(attempt.c.outcome).where(
        attempt.c.trial_id == held.trial_id,
        attempt.c.attempt == held.attempt,
        attempt.c.owner == held.owner,
    )
    found: str | None = connection.scalar(own)
    return found


def _fingerprint_of(connection: Connection, of: Lease) -> str | None:
    """Of the data that an attempt trained on, where that is known."""
    query = select(attempt.c.data_fingerprint).where(
        attempt.c.trial_id == of.trial_id, attempt.c.attempt == of.attempt
    )
    found: str | None = connection.scalar(query)
    return found


def _attempt_of(connection: Connection, found: Row[tuple[object, ...]]) -> Row[tuple[object, ...]]:
    """The attempt of a lease."""
    of_lease = (attempt.c.trial_id == found.trial_id) & (attempt.c.attempt == found.attempt)
    return connection.execute(select(attempt).where(of_lease)).one()


def _forget_after(connection: Connection, held: Lease, epochs: int) -> None:
    connection.execute(
        epoch.delete().where(epoch.c.trial_id == held.trial_id, epoch.c.epoch > epochs)
    )
    reports = optuna_intermediate_values
    connection.execute(
        reports.delete().where(reports.c.trial_id == held.trial_id, reports.c.step > epochs)
    )


def _insert_attributes(connection: Connection, held: Lease, texts: Mapping[str, str]) -> None:
    table = optuna_system_attributes
    if texts:
        connection.execute(
            table.insert(),
            [
                {"trial_id": held.trial_id, "key": key, "value_json": text}
                for key, text in texts.items()
            ],
        )


def _delete_attributes(connection: Connection, held: Lease, keys: Iterable[str]) -> None:
    table = optuna_system_attributes
    connection.execute(
        table.delete().where(table.c.trial_id == held.trial_id, table.c.key.in_(list(keys)))
    )


def _where_held(statement: Update, held: Lease) -> Update:
    still_running = exists().where(
        optuna_trials.c.trial_id == held.trial_id, optuna_trials.c.state == "RUNNING"
    )
    return statement.where(
        lease.c.trial_id == held.trial_id,
        lease.c.owner == held.owner,
        lease.c.attempt == held.attempt,
        still_running,
    )
