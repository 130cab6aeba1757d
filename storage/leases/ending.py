"""How a trial leaves the hands of the worker that holds it: ended, or given to the next one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from sqlalchemy import Connection, Row, exists, select, update
from sqlalchemy.exc import IntegrityError

from storage.clock import now_ms
from storage.errors import LeaseLost
from storage.leases.lease import HAND_BACK_SECONDS, Lease, WorkerSession, close_attempt, where_held
from storage.optuna_rows import end_trial, insert_attributes
from storage.predictions import SplitPredictions, insert_predictions
from storage.schema import attempt, epoch, lease
from storage.slots import has_failed_too_often
from storage.studies import StoredStudy, StudyState
from storage.study_states import end_if_due, end_locked_if_due, lock_study, move

Outcome = Literal["complete", "pruned", "failed"]
# Why a trial was pruned or failed; beside it stands a sentence for people.
Cause = Literal["pruner", "diverged", "time limit", "bound", "study ended", "error", "given up"]


ENDS_TRIAL: dict[Outcome, Literal["COMPLETE", "PRUNED", "FAIL"]] = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "failed": "FAIL",
}


class CheckpointName(Protocol):
    """The file of a checkpoint in the trial's folder (objectives.checkpoint.SavedCheckpoint)."""

    @property
    def epoch(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class TrialEnds(WorkerSession):
    """Ends trials that the worker holds, and hands them back; a refused write raises LeaseLost."""

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
        also: Callable[[Connection], None] = lambda connection: None,
    ) -> StudyState:
        """Ends the trial and gives the lease up, with `system_attributes` as JSON texts; returns
        the study's state.

        `costs` are the values of the study's further objectives; `predictions` are what the trained
        network answers. `also` is done in the same transaction. A slot of a follow-up that has
        failed too often ends the follow-up.

        Raises:
            LeaseLost: the trial is not this owner's.
        """

        def write(repeated: bool) -> StudyState:
            if repeated and self._has_ended(held, outcome):
                return self._end_if_due(held.stored)
            with self._transactions.write() as connection:
                row = lock_study(connection, held.stored)
                self._renew(connection, held)
                values = () if value is None else (value, *costs)
                if not end_trial(connection, held.trial_id, ENDS_TRIAL[outcome], values):
                    raise LeaseLost(held.trial_id)
                insert_attributes(connection, held.trial_id, system_attributes or {})
                connection.execute(lease.delete().where(lease.c.trial_id == held.trial_id))
                close_attempt(connection, held, outcome, reason, cause)
                if predictions is not None:
                    insert_predictions(connection, held.stored.study_id, held.trial_id, predictions)
                also(connection)
                return self._state_after(connection, held, row)

        try:
            return self._transactions.persist(write)
        except IntegrityError:
            # Another program has written what only the owner of the trial may write.
            raise LeaseLost(held.trial_id) from None

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

    def _end_if_due(self, stored: StoredStudy) -> StudyState:
        def end(repeated: bool) -> StudyState:
            with self._transactions.write() as connection:
                return end_if_due(connection, stored)

        return self._transactions.persist(end)

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
                # After a COMMIT without an answer this may be our own doing.
                if given.rowcount == 0:
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


def _outcome_of(connection: Connection, held: Lease) -> str | None:
    """How the attempt of this lease ended; `None` while it has not."""
    own = select(attempt.c.outcome).where(
        attempt.c.trial_id == held.trial_id,
        attempt.c.attempt == held.attempt,
        attempt.c.owner == held.owner,
    )
    found: str | None = connection.scalar(own)
    return found
