"""What becomes of a trial, as the worker that holds it records it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Literal, Protocol

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import Connection, Row, exists, func, select, update
from sqlalchemy.exc import IntegrityError

from storage.clock import now_ms
from storage.errors import LeaseLost
from storage.leases.lease import HAND_BACK_SECONDS, Lease, WorkerSession, close_attempt, where_held
from storage.predictions import SplitPredictions, insert_predictions
from storage.records import EpochRecord
from storage.schema import (
    attempt,
    epoch,
    intermediate_value_to_stored,
    lease,
    optuna_intermediate_values,
    optuna_params,
    optuna_system_attributes,
)
from storage.slots import has_failed_too_often
from storage.studies import (
    StoredStudy,
    StudyState,
    end_if_due,
    end_locked_if_due,
    lock_study,
    move,
    read_state,
)
from storage.transactions import Step

Outcome = Literal["complete", "pruned", "failed"]
# Why a trial was pruned or failed; beside it stands a sentence for people.
Cause = Literal["pruner", "diverged", "time limit", "bound", "study ended", "error", "given up"]


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


class CheckpointName(Protocol):
    """The file of a checkpoint in the trial's folder (objectives.checkpoint.SavedCheckpoint)."""

    @property
    def epoch(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class Recording(WorkerSession):
    """Records trials that the worker holds; a refused write raises LeaseLost."""

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
                fingerprint = fingerprint_of(connection, held)
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
                forget_after(connection, held, epochs)

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
        metrics: EpochRecord,
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
                        delete_attributes(connection, held, system_attributes)
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
        cause: Cause | None = None,
        reason: str | None = None,
        system_attributes: Mapping[str, str] | None = None,
        predictions: SplitPredictions | None = None,
        also: Step = lambda connection: None,
    ) -> StudyState:
        """Ends the trial and gives the lease up, with `system_attributes` as JSON texts; returns
        the study's state.

        `costs` are the values of the study's further objectives; `predictions` are what the trained
        network answers. `also` is done in the same transaction. A slot of a follow-up that has
        failed too often ends the follow-up.

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
                close_attempt(connection, held, outcome, reason, cause)
                if predictions is not None:
                    insert_predictions(connection, held.stored.study_id, held.trial_id, predictions)
                also(connection)
                states.append(self._state_after(connection, held, rows[-1]))

            if repeated and self._has_ended(held, outcome):
                return self._end_if_due(held.stored)
            with self._optunas_write(held, locked_and_held, close):
                self._optunas.set_trial_state_values(
                    held.trial_id, ENDS_TRIAL[outcome], None if value is None else [value, *costs]
                )
            return states[-1]

        return self._transactions.persist(write)

    def _state_after(
        self, connection: Connection, held: Lease, row: Row[tuple[object, ...]]
    ) -> StudyState:
        state = end_locked_if_due(connection, row)
        if (
            state == "open"
            and held.slot is not None
            and has_failed_too_often(connection, held.stored.study_id, held.slot.index)
        ):
            move(connection, row, "ended", "failures")
            return "ended"
        return state

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
                    where_held(update(lease), held).values(
                        owner=None, beat_ms=now_ms(), expires_ms=now_ms()
                    )
                )
                if given.rowcount == 0:  # after a COMMIT without an answer it may be our own doing
                    return repeated and _outcome_of(connection, held) == outcome
                close_attempt(connection, held, outcome, reason)
                if checkpoint is not None:
                    connection.execute(
                        update(epoch)
                        .where(epoch.c.trial_id == held.trial_id, epoch.c.epoch == checkpoint.epoch)
                        .values(checkpoint=checkpoint.name, checkpoint_sha256=checkpoint.sha256)
                    )
                return True

        return self._transactions.persist(give, seconds)

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


def forget_after(connection: Connection, held: Lease, epochs: int) -> None:
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


def delete_attributes(connection: Connection, held: Lease, keys: Iterable[str]) -> None:
    table = optuna_system_attributes
    connection.execute(
        table.delete().where(table.c.trial_id == held.trial_id, table.c.key.in_(list(keys)))
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


def fingerprint_of(connection: Connection, of: Lease) -> str | None:
    """Of the data that an attempt trained on, where that is known."""
    query = select(attempt.c.data_fingerprint).where(
        attempt.c.trial_id == of.trial_id, attempt.c.attempt == of.attempt
    )
    found: str | None = connection.scalar(query)
    return found
