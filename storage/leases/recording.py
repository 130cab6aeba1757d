"""What is recorded of a trial while a worker holds it: parameters and epochs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from storage.errors import LeaseLost
from storage.leases.ending import CheckpointName, TrialEnds
from storage.leases.lease import Lease
from storage.optuna_rows import (
    delete_attributes,
    delete_report,
    delete_reports_after,
    has_parameters,
    insert_attributes,
    insert_parameters,
    insert_report,
)
from storage.records import EpochRecord
from storage.schema import attempt, epoch
from storage.studies import StudyState
from storage.study_states import read_state

# A trial that takes its workers with it is given up: after so many that died in it without an
# epoch, or in all.
BARREN_CAP = 3
LOST_CAP = 10


class Recording(TrialEnds):
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
                if repeated and has_parameters(connection, held.trial_id):
                    return
                insert_parameters(connection, held.trial_id, values, distributions)
                insert_attributes(connection, held.trial_id, system_attributes or {})

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

        def write(repeated: bool) -> tuple[StudyState, bool]:
            with self._transactions.write() as connection:
                self._renew(connection, held)
                if repeated:
                    of_epoch = (epoch.c.trial_id == held.trial_id) & (
                        epoch.c.epoch == metrics.epoch
                    )
                    connection.execute(epoch.delete().where(of_epoch))
                    delete_report(connection, held.trial_id, metrics.epoch)
                    if system_attributes:
                        delete_attributes(connection, held.trial_id, system_attributes)
                connection.execute(epoch.insert(), row)
                insert_report(connection, held.trial_id, metrics.epoch, value)
                insert_attributes(connection, held.trial_id, system_attributes or {})
                return read_state(connection, held.stored)

        try:
            state, timed_out = self._transactions.persist(write)
        except IntegrityError:
            # Another program has reported this step.
            state, timed_out = self._transactions.persist(lambda repeated: write(True))
        return self._end_if_due(held.stored) if timed_out else state

    @contextmanager
    def fenced(self, held: Lease) -> Iterator[None]:
        """Optuna's writing transaction inside this block needs the lease.

        Raises:
            LeaseLost: the trial has another owner or attempt, or none, or has ended; or Optuna did
                not commit.
        """

        def guard(connection: Connection) -> None:
            self._renew(connection, held)

        with self._transactions.writing(guard) as writing:
            try:
                yield
            except (KeyError, UpdateFinishedTrialError):
                # The trial was deleted, or plain Optuna has ended it.
                raise LeaseLost(held.trial_id) from None
        if not writing.committed:
            # Optuna keeps some integrity errors to itself.
            raise LeaseLost(held.trial_id)


def forget_after(connection: Connection, held: Lease, epochs: int) -> None:
    """Deletes what is recorded of a trial after so many epochs."""
    later = (epoch.c.trial_id == held.trial_id) & (epoch.c.epoch > epochs)
    connection.execute(epoch.delete().where(later))
    delete_reports_after(connection, held.trial_id, epochs)


def fingerprint_of(connection: Connection, of: Lease) -> str | None:
    """The fingerprint of the data that an attempt trained on, where that is known."""
    query = select(attempt.c.data_fingerprint).where(
        attempt.c.trial_id == of.trial_id, attempt.c.attempt == of.attempt
    )
    found: str | None = connection.scalar(query)
    return found
