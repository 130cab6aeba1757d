"""Every reading query of ours, each described; frozen records come back. No Optuna is loaded."""

import json
import math
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Select, func, select

from storage.clock import now_ms
from storage.engine import Database, persistent
from storage.hosts import has_died, this_host
from storage.schema import (
    DUE_KEY,
    attempt,
    epoch,
    lease,
    optuna_params,
    optuna_studies,
    optuna_system_attributes,
    optuna_trials,
    optuna_values,
    study,
    worker,
)
from storage.studies import StoredStudy, count_trials, select_studies

ParameterValue = str | int | float | bool | None
UNFINISHED = ("RUNNING", "WAITING")
ARTIFACT_PREFIX = "artifacts:"  # of the keys by which Optuna names a trial's artifacts
TrialState = Literal["complete", "pruned", "failed", "running"]
_STATES: dict[str, TrialState] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "running",  # enqueued by plain Optuna: not ours, shown as not finished
}
ENDED = tuple(state for state, shown in _STATES.items() if shown != "running")


@dataclass(frozen=True)
class StudyRecord:
    """A study and how many of its trials are in which state."""

    stored: StoredStudy
    complete: int
    pruned: int
    failed: int

    @property
    def finished(self) -> int:
        """Complete and pruned trials: what the budget counts."""
        return self.complete + self.pruned


@dataclass(frozen=True)
class EpochRecord:
    """The recorded metrics of one epoch; see objectives.Measurement."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_balanced_accuracy: float
    validation_macro_f1: float
    learning_rate: float
    near_zero_share: float
    seconds: float
    images_per_second: float
    train_eval_loss: float | None

    @property
    def generalization_gap(self) -> float | None:
        """Validation loss minus training loss, both without dropout and augmentation; `None` before
        the last epoch.
        """
        return None if self.train_eval_loss is None else self.validation_loss - self.train_eval_loss


@dataclass(frozen=True)
class TrialRecord:
    """A trial with its parameters as Optuna recorded them (switches included) and its epochs, the
    last one last.
    """

    number: int
    state: TrialState
    value: float | None
    costs: tuple[
        float, ...
    ]  # the values of the study's further objectives, where the trial is complete
    parameters: dict[str, ParameterValue]
    epochs: tuple[EpochRecord, ...]
    attempts: int
    device: str | None
    threads: int | None
    reason: str | None  # why it was pruned or failed, in words
    started_ms: int | None
    ended_ms: int | None
    # after which the pruner would stop it; an audited trial goes on all the same
    due_epoch: int | None = None
    data_fingerprint: str | None = None  # of the data set that it trained on, where that is known
    # images that went through the network at a time, where that is recorded
    piece: int | None = None
    cause: str | None = None  # why it was pruned or failed, by kind: storage.leases.recording.Cause

    @property
    def validation_loss(self) -> float | None:
        """Of the last epoch; `None` before the first."""
        return self.epochs[-1].validation_loss if self.epochs else None


@dataclass(frozen=True)
class RunningTrial:
    """A trial that a worker holds now; `worker` is `None` where it waits to be taken up again."""

    number: int
    worker: str | None
    host: str
    device: str
    epoch: int  # the last one recorded; 0 before the first
    seconds_since_sign_of_life: float


@persistent
def read_studies(database: Database) -> list[StudyRecord]:
    """Every study that has a spec, in the order of creation."""
    with database.transactions.snapshot() as connection:
        rows = connection.execute(select_studies().order_by(optuna_studies.c.study_id)).all()
        return [_study_record(connection, StoredStudy.from_row(row)) for row in rows]


@persistent
def read_clock(database: Database) -> int:
    """The database's clock: UTC milliseconds since 1970."""
    with database.transactions.read() as connection:
        return connection.execute(select(now_ms())).scalar_one()


@persistent
def read_study_names(database: Database) -> list[str]:
    """The name of every study that has a spec, in the order of creation."""
    query = (
        select(optuna_studies.c.study_name)
        .join(study, study.c.study_id == optuna_studies.c.study_id)
        .order_by(optuna_studies.c.study_id)
    )
    with database.transactions.read() as connection:
        return list(connection.scalars(query))


@persistent
def read_study(database: Database, stored: StoredStudy) -> StudyRecord:
    """The study's counts as they are now."""
    with database.transactions.read() as connection:
        return _study_record(connection, stored)


def _study_record(connection: Connection, stored: StoredStudy) -> StudyRecord:
    counts = count_trials(connection, stored.study_id)
    return StudyRecord(stored, counts.complete, counts.pruned, counts.failed)


@persistent
def read_running(database: Database, study_id: int) -> list[RunningTrial]:
    """The trials that are held or wait to be taken up again, by number."""
    last_epoch = (
        select(func.coalesce(func.max(epoch.c.epoch), 0))
        .where(epoch.c.trial_id == lease.c.trial_id, epoch.c.attempt == lease.c.attempt)
        .scalar_subquery()
    )
    query = (
        select(
            optuna_trials.c.number,
            lease.c.owner,
            lease.c.host,
            attempt.c.device,
            last_epoch.label("epoch"),
            (now_ms() - lease.c.beat_ms).label("silence_ms"),
        )
        .join(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
        .join(
            attempt,
            (attempt.c.trial_id == lease.c.trial_id) & (attempt.c.attempt == lease.c.attempt),
        )
        .where(optuna_trials.c.study_id == study_id)
        .order_by(optuna_trials.c.number)
    )
    with database.transactions.read() as connection:
        return [
            RunningTrial(
                row.number, row.owner, row.host, row.device, row.epoch, row.silence_ms / 1000
            )
            for row in connection.execute(query)
        ]


@dataclass(frozen=True)
class EpochCheckpoint:
    """What is needed to go on after a recorded epoch."""

    epoch: int
    seconds: float  # that the epoch took
    name: str | None  # of the checkpoint's file; `None` where none could be written
    sha256: str | None


@persistent
def read_checkpoints(database: Database, trial_id: int) -> list[EpochCheckpoint]:
    """The recorded epochs of a trial, the first one first."""
    query = (
        select(epoch.c.epoch, epoch.c.seconds, epoch.c.checkpoint, epoch.c.checkpoint_sha256)
        .where(epoch.c.trial_id == trial_id)
        .order_by(epoch.c.epoch)
    )
    with database.transactions.read() as connection:
        return [EpochCheckpoint(*row) for row in connection.execute(query)]


@persistent
def read_epochs(database: Database, trial_id: int) -> list[EpochRecord]:
    """The recorded epochs of a trial, the first one first."""
    columns = [epoch.c[name] for name in EpochRecord.__dataclass_fields__]
    query = select(*columns).where(epoch.c.trial_id == trial_id).order_by(epoch.c.epoch)
    with database.transactions.read() as connection:
        return [EpochRecord(*row) for row in connection.execute(query)]


@persistent
def read_unfinished(database: Database) -> dict[str, set[int]]:
    """The numbers of the trials that have not ended, by uid of every study."""
    unfinished = (
        select(study.c.uid, optuna_trials.c.number)
        .outerjoin(
            optuna_trials,
            (optuna_trials.c.study_id == study.c.study_id) & optuna_trials.c.state.in_(UNFINISHED),
        )
        .order_by(study.c.uid)
    )
    found: dict[str, set[int]] = defaultdict(set)
    with database.transactions.read() as connection:
        for row in connection.execute(unfinished):
            found[row.uid] |= set() if row.number is None else {row.number}
    return dict(found)


def _best_first(
    study_id: int, direction: Literal["maximize", "minimize"]
) -> Select[tuple[int, float, float | None]]:
    """Number, value and validation loss of the complete trials; of equal values, the lowest loss
    first, then the lowest number.
    """
    loss = (
        select(epoch.c.validation_loss)
        .where(epoch.c.trial_id == optuna_trials.c.trial_id)
        .order_by(epoch.c.epoch.desc())
        .limit(1)
        .scalar_subquery()
    )
    value = optuna_values.c.value
    return (
        select(optuna_trials.c.number, value, loss.label("loss"))
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_values.c.trial_id)
        .where(
            optuna_trials.c.study_id == study_id,
            optuna_trials.c.state == "COMPLETE",
            optuna_values.c.objective == 0,
        )
        .order_by(
            value.desc() if direction == "maximize" else value,
            loss.is_(None),
            loss,
            optuna_trials.c.number,
        )
    )


@persistent
def read_best(
    database: Database, study_id: int, direction: Literal["maximize", "minimize"]
) -> tuple[float, float] | None:
    """Value and validation loss of the best complete trial; one without epochs, which plain Optuna
    may have made, has an infinite loss.
    """
    with database.transactions.read() as connection:
        found = connection.execute(_best_first(study_id, direction).limit(1)).first()
    return None if found is None else (found.value, math.inf if found.loss is None else found.loss)


@persistent
def read_incumbent(
    database: Database, study_id: int, direction: Literal["maximize", "minimize"]
) -> "TrialRecord | None":
    """The best complete trial; no other one is read."""
    with database.transactions.read() as connection:
        best = connection.execute(_best_first(study_id, direction).limit(1)).first()
    found = [] if best is None else read_trials(database, study_id, [best.number])
    return found[0] if found else None


@persistent
def read_ended(database: Database, study_id: int) -> set[int]:
    """The numbers of the trials that have ended."""
    query = select(optuna_trials.c.number).where(
        optuna_trials.c.study_id == study_id, optuna_trials.c.state.in_(ENDED)
    )
    with database.transactions.read() as connection:
        return set(connection.scalars(query))


@persistent
def read_artifact_ids(database: Database, study_id: int | None) -> set[str]:
    """The ids of the artifacts of the study's trials; `None`: of all trials."""
    key = optuna_system_attributes.c.key
    query = (
        select(key)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id)
        .where(key.startswith(ARTIFACT_PREFIX))
    )
    if study_id is not None:
        query = query.where(optuna_trials.c.study_id == study_id)
    with database.transactions.read() as connection:
        return {found.removeprefix(ARTIFACT_PREFIX) for found in connection.scalars(query)}


@persistent
def read_artifacts(database: Database, study_id: int) -> dict[int, dict[str, str]]:
    """The artifacts of the study's trials: by trial_id, their ids by file name.

    What another program has named in another way is left out.
    """
    key, value = optuna_system_attributes.c.key, optuna_system_attributes.c.value_json
    query = (
        select(optuna_trials.c.trial_id, key, value)
        .join(
            optuna_system_attributes,
            optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id,
        )
        .where(optuna_trials.c.study_id == study_id, key.startswith(ARTIFACT_PREFIX))
        .order_by(optuna_trials.c.trial_id)
    )
    found: dict[int, dict[str, str]] = defaultdict(dict)
    with database.transactions.read() as connection:
        for row in connection.execute(query):
            with suppress(ValueError, TypeError, LookupError):
                found[row.trial_id][json.loads(json.loads(row.value_json))["filename"]] = (
                    row.key.removeprefix(ARTIFACT_PREFIX)
                )
    return dict(found)


@persistent
def read_artifact_attributes(database: Database, study_id: int) -> dict[int, dict[str, str]]:
    """The system attributes that name the artifacts of the study's trials, by the trial's
    number.
    """
    key, value = optuna_system_attributes.c.key, optuna_system_attributes.c.value_json
    query = (
        select(optuna_trials.c.number, key, value)
        .join(
            optuna_system_attributes,
            optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id,
        )
        .where(optuna_trials.c.study_id == study_id, key.startswith(ARTIFACT_PREFIX))
    )
    found: dict[int, dict[str, str]] = defaultdict(dict)
    with database.transactions.read() as connection:
        for row in connection.execute(query):
            found[row.number][row.key] = json.loads(row.value_json)
    return dict(found)


@persistent
def is_artifact_named(database: Database, artifact_id: str) -> bool:
    """Whether it is an artifact of any trial."""
    key = optuna_system_attributes.c.key
    query = (
        select(optuna_trials.c.trial_id)
        .join(
            optuna_system_attributes,
            optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id,
        )
        .where(key == f"{ARTIFACT_PREFIX}{artifact_id}")
    )
    with database.transactions.read() as connection:
        return connection.scalar(query.limit(1)) is not None


@persistent
def read_epoch_seconds(database: Database, study_id: int, limit: int = 100) -> list[float]:
    """What the epochs recorded last took."""
    query = (
        select(epoch.c.seconds)
        .join(optuna_trials, optuna_trials.c.trial_id == epoch.c.trial_id)
        .where(optuna_trials.c.study_id == study_id)
        .order_by(epoch.c.trial_id.desc())
        .limit(limit)
    )
    with database.transactions.read() as connection:
        return list(connection.scalars(query))


@dataclass(frozen=True)
class WorkerRecord:
    """A worker that is alive, and what it works on: `study` and `number` are `None` where it
    waits.
    """

    worker: str
    host: str
    pid: int
    device: str
    threads: int
    alive_seconds: float
    study: str | None
    number: int | None


@persistent
def read_workers(database: Database) -> list[WorkerRecord]:
    """Every worker whose last sign of life has not expired, oldest first; of this machine no dead
    process.
    """
    here = this_host().machine
    query = (
        select(
            worker,
            (now_ms() - worker.c.started_ms).label("alive_ms"),
            optuna_studies.c.study_name,
            optuna_trials.c.number,
        )
        .outerjoin(lease, lease.c.owner == worker.c.worker_id)
        .outerjoin(optuna_trials, optuna_trials.c.trial_id == lease.c.trial_id)
        .outerjoin(optuna_studies, optuna_studies.c.study_id == optuna_trials.c.study_id)
        .where(worker.c.expires_ms > now_ms())
        .order_by(worker.c.started_ms, worker.c.worker_id)
    )
    with database.transactions.read() as connection:
        return [
            WorkerRecord(
                worker=row.worker_id,
                host=row.host,
                pid=row.pid,
                device=row.device,
                threads=row.threads,
                alive_seconds=row.alive_ms / 1000,
                study=row.study_name,
                number=row.number,
            )
            for row in connection.execute(query)
            if row.machine != here or not has_died(row.pid, row.process_started)
        ]


@persistent
def read_work_spans(database: Database, study_id: int) -> list[tuple[int, int | None]]:
    """When workers had trials of the study in their hands, (from, to) in milliseconds; `None`: one
    still has.

    A worker that was lost counts for as long as its recorded epochs took: when it died nobody
    knows.
    """
    worked = func.coalesce(func.sum(epoch.c.seconds), 0.0).label("worked_seconds")
    query = (
        select(attempt.c.started_ms, attempt.c.ended_ms, attempt.c.outcome, worked)
        .join(optuna_trials, optuna_trials.c.trial_id == attempt.c.trial_id)
        .outerjoin(
            epoch,
            (attempt.c.outcome == "lost")  # when another one ended, it has recorded itself
            & (epoch.c.trial_id == attempt.c.trial_id)
            & (epoch.c.attempt == attempt.c.attempt),
        )
        .where(optuna_trials.c.study_id == study_id)
        .group_by(
            attempt.c.trial_id,
            attempt.c.attempt,
            attempt.c.started_ms,
            attempt.c.ended_ms,
            attempt.c.outcome,
        )
    )
    with database.transactions.read() as connection:
        rows = connection.execute(query).all()
    spans = []
    for row in rows:
        died_ms = row.started_ms + round(1000 * row.worked_seconds)
        spans.append((row.started_ms, died_ms if row.outcome == "lost" else row.ended_ms))
    return spans


@persistent
def read_trials(
    database: Database, study_id: int, numbers: Collection[int] | None = None
) -> list[TrialRecord]:
    """Every trial of the study by number, or those of `numbers`, with parameters, epochs and the
    last attempt: five queries in one view.
    """
    of_study = optuna_trials.c.study_id == study_id
    if numbers is not None:
        of_study &= optuna_trials.c.number.in_(numbers)
    with database.transactions.snapshot() as connection:
        values: dict[int, list[float]] = defaultdict(list)
        for trial_id, value in connection.execute(
            select(optuna_values.c.trial_id, optuna_values.c.value)
            .join(optuna_trials, (optuna_trials.c.trial_id == optuna_values.c.trial_id) & of_study)
            .order_by(optuna_values.c.objective)
        ):
            values[trial_id].append(value)
        parameters: dict[int, dict[str, ParameterValue]] = defaultdict(dict)
        for row in connection.execute(
            select(optuna_params)
            .join(optuna_trials, (optuna_trials.c.trial_id == optuna_params.c.trial_id) & of_study)
            .order_by(optuna_params.c.param_id)
        ):
            parameters[row.trial_id][row.param_name] = external_value(
                row.param_value, row.distribution_json
            )
        epochs: dict[int, list[EpochRecord]] = defaultdict(list)
        columns = [epoch.c[name] for name in EpochRecord.__dataclass_fields__]
        for row in connection.execute(
            select(epoch.c.trial_id, *columns)
            .join(optuna_trials, (optuna_trials.c.trial_id == epoch.c.trial_id) & of_study)
            .order_by(epoch.c.trial_id, epoch.c.epoch)
        ):
            epochs[row.trial_id].append(EpochRecord(*row[1:]))
        attributes = optuna_system_attributes
        due = {
            row.trial_id: int(row.value_json)
            for row in connection.execute(
                select(attributes.c.trial_id, attributes.c.value_json)
                .join(optuna_trials, (optuna_trials.c.trial_id == attributes.c.trial_id) & of_study)
                .where(attributes.c.key == DUE_KEY)
            )
        }
        rows = connection.execute(
            select(optuna_trials, attempt)
            .outerjoin(attempt, attempt.c.trial_id == optuna_trials.c.trial_id)
            .where(of_study)
            .order_by(optuna_trials.c.number, attempt.c.attempt)
        ).all()
    last_attempts = {row.number: row for row in rows}  # the last row of a trial is its last attempt
    return [
        TrialRecord(
            number=row.number,
            state=_STATES[row.state],
            value=next(iter(values[row.trial_id]), None),
            costs=tuple(values[row.trial_id][1:]),
            parameters=parameters[row.trial_id],
            epochs=tuple(epochs[row.trial_id]),
            attempts=row.attempt or 0,
            device=row.device,
            threads=row.threads,
            reason=row.reason,
            started_ms=row.started_ms,
            ended_ms=row.ended_ms,
            due_epoch=due.get(row.trial_id),
            data_fingerprint=row.data_fingerprint,
            piece=row.piece,
            cause=row.cause,
        )
        for row in last_attempts.values()
    ]


def external_value(internal: float, distribution_json: str) -> ParameterValue:
    """A parameter's value from Optuna's internal representation:
    `BaseDistribution.to_external_repr` without Optuna.
    """
    distribution = json.loads(distribution_json)
    if distribution["name"] == "CategoricalDistribution":
        choice: ParameterValue = distribution["attributes"]["choices"][int(internal)]
        return choice
    return int(internal) if distribution["name"] == "IntDistribution" else internal
