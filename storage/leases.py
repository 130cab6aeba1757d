"""Who holds which trial, the exact budget, and taking over from the dead."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, asdict, dataclass
from typing import ClassVar, Literal, Protocol

import psutil
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import Connection, Update, func, select, update
from sqlalchemy.sql.functions import FunctionElement

from storage.engine import Database, Step, now_ms
from storage.errors import LeaseLost
from storage.schema import attempt, epoch, lease, optuna_params, optuna_trials, study
from storage.studies import StudyState, count_leased, count_trials, end_if_due, lock_study


class EpochMetrics(Protocol):
    """What is recorded of an epoch: a dataclass with the columns of the epoch table (objectives.Measurement)."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    @property
    def epoch(self) -> int: ...


@dataclass(frozen=True)
class Worker:
    """A process that takes trials, as leases and attempts record it."""

    id: str
    host: str
    pid: int
    process_started: float  # seconds since 1970
    device: str
    threads: int


@dataclass(frozen=True)
class Lease:
    """The right to write one trial: this owner's, in this attempt."""

    study_id: int
    trial_id: int
    number: int
    owner: str
    attempt: int


class NothingToTake(Exception):
    """No trial can be taken now; `state` is the study's, and "open" means that others still work on its last ones."""

    def __init__(self, state: StudyState) -> None:
        super().__init__(f"no trial can be taken of a study that is {state}")
        self.state = state


class TrialLeases:
    """Takes trials of a study for one worker and records what becomes of them; a refused write raises LeaseLost.

    >>> lease = leases.acquire(study_id)                        # doctest: +SKIP
    >>> leases.record_parameters(lease, values, distributions)
    >>> leases.report(lease, measurement, value)                # after each epoch
    >>> leases.finish(lease, "complete", value=0.98)
    """

    def __init__(self, database: Database, optunas: BaseStorage, worker: Worker) -> None:
        self._transactions = database.transactions
        self._optunas = optunas
        self._worker = worker

    def acquire(self, study_id: int) -> Lease:
        """Takes up a trial that its worker handed back or died over, else a new one if the budget has room.

        Raises:
            NothingToTake: the study is not open, or all that is left is held by others.
        """
        with self._transactions.write() as connection:
            self._check_open(connection, study_id)
            adopted = self._adopt(connection, study_id)
        return adopted or self._create(study_id)

    def _check_open(self, connection: Connection, study_id: int) -> None:
        state = end_if_due(connection, study_id)
        if state != "open":
            raise NothingToTake(state)

    def _adopt(self, connection: Connection, study_id: int) -> Lease | None:
        rows = connection.execute(
            select(lease, optuna_trials.c.number)
            .join(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
            .where(optuna_trials.c.study_id == study_id)
            .order_by(optuna_trials.c.number)
        )
        for row in rows:
            if row.owner is not None and not self._is_dead(row.host, row.pid, row.process_started):
                continue
            if row.owner is not None:
                _close_attempt(connection, row.trial_id, row.attempt, "lost", "its process is gone")
            taken = Lease(study_id, row.trial_id, row.number, self._worker.id, row.attempt + 1)
            connection.execute(
                update(lease).where(lease.c.trial_id == row.trial_id).values(**self._holder(), attempt=taken.attempt)
            )
            # It starts again from its seed: what the attempt before measured is measured again.
            connection.execute(epoch.delete().where(epoch.c.trial_id == row.trial_id))
            self._open_attempt(connection, taken)
            return taken
        return None

    def _is_dead(self, host: str, pid: int, process_started: float) -> bool:
        """Whether a process of this machine is gone; of another machine's nothing can be said."""
        if host != self._worker.host:
            return False
        try:
            process = psutil.Process(pid)
            # The start is kept in clock ticks: two readings of one process differ by less than a second.
            return abs(process.create_time() - process_started) > 1 or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def _create(self, study_id: int) -> Lease:
        taken: list[Lease] = []

        def room_is_left(connection: Connection) -> None:
            self._check_open(connection, study_id)
            counts = count_trials(connection, study_id)
            finished = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
            if finished + count_leased(connection, study_id) >= lock_study(connection, study_id).trials:
                raise NothingToTake("open")

        def insert_lease(connection: Connection) -> None:
            # The study's row is locked: the newest trial is the one of this transaction.
            row = connection.execute(
                select(optuna_trials.c.trial_id, optuna_trials.c.number)
                .where(optuna_trials.c.study_id == study_id)
                .order_by(optuna_trials.c.trial_id.desc())
                .limit(1)
            ).one()
            for table in (lease, attempt, epoch):  # left by plain Optuna's delete: see studies.create_study
                connection.execute(table.delete().where(table.c.trial_id == row.trial_id))
            taken.append(Lease(study_id, row.trial_id, row.number, self._worker.id, 1))
            connection.execute(lease.insert().values(trial_id=row.trial_id, attempt=1, **self._holder()))
            self._open_attempt(connection, taken[-1])
            connection.execute(
                update(study)
                .where(study.c.study_id == study_id)
                .values(started_ms=func.coalesce(study.c.started_ms, now_ms()))
            )

        with self._transactions.writing(guard=room_is_left, extra=insert_lease):
            self._optunas.create_new_trial(study_id)
        return taken[-1]

    def record_parameters(
        self, held: Lease, values: Mapping[str, float], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Records the trial's parameters once, in Optuna's internal representation, in one transaction."""
        with self._transactions.write() as connection:
            self._renew(connection, held)
            connection.execute(
                optuna_params.insert(),
                [
                    {
                        "trial_id": held.trial_id,
                        "param_name": name,
                        "param_value": value,
                        "distribution_json": distribution_to_json(distributions[name]),
                    }
                    for name, value in values.items()
                ],
            )

    def report(self, held: Lease, metrics: EpochMetrics, value: float) -> StudyState:
        """Records an epoch and `value`, the study's metric (Optuna's intermediate value); returns the study's state."""
        states: list[StudyState] = []

        def upsert(connection: Connection) -> None:
            key = (epoch.c.trial_id == held.trial_id) & (epoch.c.epoch == metrics.epoch)
            connection.execute(epoch.delete().where(key))
            row = asdict(metrics)
            connection.execute(epoch.insert().values(trial_id=held.trial_id, attempt=held.attempt, **row))
            states.append(end_if_due(connection, held.study_id))

        with self.fenced(held, upsert):
            self._optunas.set_trial_intermediate_value(held.trial_id, metrics.epoch, value)
        return states[-1]

    def finish(
        self,
        held: Lease,
        outcome: Literal["complete", "pruned", "failed"],
        *,
        value: float | None = None,
        reason: str | None = None,
        target_reached: bool = False,
    ) -> StudyState:
        """Ends the trial and gives the lease up; returns the study's state."""
        states: list[StudyState] = []
        optuna_state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

        def close(connection: Connection) -> None:
            connection.execute(lease.delete().where(lease.c.trial_id == held.trial_id))
            _close_attempt(connection, held.trial_id, held.attempt, outcome, reason)
            states.append(end_if_due(connection, held.study_id, target_reached=target_reached))

        with self.fenced(held, close):
            self._optunas.set_trial_state_values(
                held.trial_id, optuna_state[outcome], None if value is None else [value]
            )
        return states[-1]

    def hand_back(self, held: Lease) -> None:
        """Gives the trial up for the next worker; where the lease is lost already, nothing changes."""
        with self._transactions.write() as connection:
            given = connection.execute(_where_held(update(lease), held).values(owner=None, beat_ms=now_ms()))
            if given.rowcount == 1:
                _close_attempt(connection, held.trial_id, held.attempt, "handed_back", None)

    @contextmanager
    def fenced(self, held: Lease, extra: Step | None = None) -> Iterator[None]:
        """Optuna's writing transaction inside this block needs the lease, and carries `extra`.

        Raises:
            LeaseLost: the trial has another owner or attempt, or none; or Optuna did not commit.
        """
        with self._transactions.writing(lambda connection: self._renew(connection, held), extra) as writing:
            yield
        if not writing.committed:  # Optuna keeps some integrity errors to itself
            raise LeaseLost(held.trial_id)

    def _renew(self, connection: Connection, held: Lease) -> None:
        renewed = connection.execute(_where_held(update(lease), held).values(beat_ms=now_ms()))
        if renewed.rowcount != 1:
            raise LeaseLost(held.trial_id)

    def _holder(self) -> dict[str, str | int | float | FunctionElement[int]]:
        worker = self._worker
        return {
            "owner": worker.id,
            "host": worker.host,
            "pid": worker.pid,
            "process_started": worker.process_started,
            "beat_ms": now_ms(),
        }

    def _open_attempt(self, connection: Connection, taken: Lease) -> None:
        connection.execute(
            attempt.insert().values(
                trial_id=taken.trial_id,
                attempt=taken.attempt,
                owner=taken.owner,
                host=self._worker.host,
                device=self._worker.device,
                threads=self._worker.threads,
                started_ms=now_ms(),
            )
        )


def _close_attempt(connection: Connection, trial_id: int, number: int, outcome: str, reason: str | None) -> None:
    connection.execute(
        update(attempt)
        .where(attempt.c.trial_id == trial_id, attempt.c.attempt == number)
        .values(outcome=outcome, reason=reason, ended_ms=now_ms())
    )


def _where_held(statement: Update, held: Lease) -> Update:
    return statement.where(
        lease.c.trial_id == held.trial_id, lease.c.owner == held.owner, lease.c.attempt == held.attempt
    )
