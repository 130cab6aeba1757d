"""Every reading query of ours, each described; frozen records come back. No Optuna is loaded."""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Select, func, select

from storage.clock import now_ms
from storage.direction import Direction
from storage.engine import Database, persistent
from storage.schema import (
    DUE_KEY,
    UNFINISHED,
    attempt,
    epoch,
    follow_up,
    optuna_params,
    optuna_studies,
    optuna_system_attributes,
    optuna_trials,
    optuna_values,
    study,
)
from storage.studies import StoredStudy, select_studies
from storage.study_states import Counts, count_trials

ParameterValue = str | int | float | bool | None
TrialState = Literal["complete", "pruned", "failed", "running"]
_STATES: dict[str, TrialState] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    # Plain Optuna has enqueued the trial: it is not ours, and is shown as not finished.
    "WAITING": "running",
}


@dataclass(frozen=True)
class StudyRecord(Counts):
    """A study and how many of its trials have ended, by how."""

    stored: StoredStudy


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
    # The costs are the values of the study's further objectives, where the trial is complete.
    costs: tuple[float, ...]
    parameters: dict[str, ParameterValue]
    epochs: tuple[EpochRecord, ...]
    attempts: int
    device: str | None
    threads: int | None
    # The reason says it in words.
    reason: str | None
    started_ms: int | None
    ended_ms: int | None
    # After this epoch the pruner would stop it; an audited trial goes on all the same.
    due_epoch: int | None = None
    # The fingerprint is that of the data set that the trial trained on, where that is known.
    data_fingerprint: str | None = None
    # So many images went through the network at a time, where that is recorded.
    piece: int | None = None
    # The cause says by kind why the trial was pruned or failed: storage.leases.ending.Cause.
    cause: str | None = None

    @property
    def validation_loss(self) -> float | None:
        """Of the last epoch; `None` before the first."""
        return self.epochs[-1].validation_loss if self.epochs else None


@persistent
def read_studies(database: Database) -> list[StudyRecord]:
    """Every study that has a spec, in the order of creation, each before those that follow it
    up.
    """
    under = func.coalesce(follow_up.c.parent_id, study.c.study_id)
    with database.transactions.snapshot() as connection:
        rows = connection.execute(select_studies().order_by(under, study.c.study_id)).all()
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
    return StudyRecord(counts.complete, counts.pruned, counts.failed, stored)


@dataclass(frozen=True)
class EpochCheckpoint:
    """What is needed to go on after a recorded epoch."""

    epoch: int
    # The epoch took so long.
    seconds: float
    # The checkpoint's file is named so; `None` where none could be written.
    name: str | None
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


def _best_first(study_id: int, direction: Direction) -> Select[tuple[int, float, float | None]]:
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
            *direction.sql_order(value, loss, optuna_trials.c.number),
        )
    )


@persistent
def read_best(
    database: Database, study_id: int, direction: Direction
) -> tuple[float, float] | None:
    """Value and validation loss of the best complete trial; one without epochs, which plain Optuna
    may have made, has an infinite loss.
    """
    with database.transactions.read() as connection:
        found = connection.execute(_best_first(study_id, direction).limit(1)).first()
    return None if found is None else (found.value, math.inf if found.loss is None else found.loss)


@persistent
def read_incumbent(database: Database, study_id: int, direction: Direction) -> "TrialRecord | None":
    """The best complete trial; no other one is read."""
    with database.transactions.read() as connection:
        best = connection.execute(_best_first(study_id, direction).limit(1)).first()
    found = [] if best is None else read_trials(database, study_id, [best.number])
    return found[0] if found else None


@persistent
def read_ended(database: Database, study_id: int) -> set[int]:
    """The numbers of the trials that have ended."""
    query = select(optuna_trials.c.number).where(
        optuna_trials.c.study_id == study_id, optuna_trials.c.state.not_in(UNFINISHED)
    )
    with database.transactions.read() as connection:
        return set(connection.scalars(query))


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
    trial = optuna_trials.c
    with database.transactions.snapshot() as connection:
        values = _read_values(connection, of_study)
        parameters = _read_parameters(connection, of_study)
        epochs = _read_epochs(connection, of_study)
        due = _read_due(connection, of_study)
        rows = connection.execute(
            select(trial.trial_id, trial.number, trial.state, attempt)
            .outerjoin(attempt, attempt.c.trial_id == trial.trial_id)
            .where(of_study)
            .order_by(trial.number, attempt.c.attempt)
        ).all()
    # The last row of a trial is its last attempt.
    last_attempts = {row.number: row for row in rows}
    return [
        TrialRecord(
            number=row.number,
            state=_STATES[row.state],
            value=next(iter(values.get(row.trial_id, ())), None),
            costs=tuple(values.get(row.trial_id, ())[1:]),
            parameters=parameters.get(row.trial_id, {}),
            epochs=tuple(epochs.get(row.trial_id, ())),
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


def _read_values(
    connection: Connection, of_study: ColumnElement[bool]
) -> Mapping[int, Sequence[float]]:
    """The values of each trial that has some, in the order of the study's objectives."""
    values: dict[int, list[float]] = defaultdict(list)
    for trial_id, value in connection.execute(
        select(optuna_values.c.trial_id, optuna_values.c.value)
        .join(optuna_trials, (optuna_trials.c.trial_id == optuna_values.c.trial_id) & of_study)
        .order_by(optuna_values.c.objective)
    ):
        values[trial_id].append(value)
    return values


def _read_parameters(
    connection: Connection, of_study: ColumnElement[bool]
) -> Mapping[int, dict[str, ParameterValue]]:
    """The parameters of each trial that has some, in the order in which they were recorded."""
    parameters: dict[int, dict[str, ParameterValue]] = defaultdict(dict)
    for row in connection.execute(
        select(optuna_params)
        .join(optuna_trials, (optuna_trials.c.trial_id == optuna_params.c.trial_id) & of_study)
        .order_by(optuna_params.c.param_id)
    ):
        value = external_value(row.param_value, row.distribution_json)
        parameters[row.trial_id][row.param_name] = value
    return parameters


def _read_epochs(
    connection: Connection, of_study: ColumnElement[bool]
) -> Mapping[int, Sequence[EpochRecord]]:
    """The epochs of each trial that has some, the last one last."""
    epochs: dict[int, list[EpochRecord]] = defaultdict(list)
    columns = [epoch.c[name] for name in EpochRecord.__dataclass_fields__]
    for row in connection.execute(
        select(epoch.c.trial_id, *columns)
        .join(optuna_trials, (optuna_trials.c.trial_id == epoch.c.trial_id) & of_study)
        .order_by(epoch.c.trial_id, epoch.c.epoch)
    ):
        epochs[row.trial_id].append(EpochRecord(*row[1:]))
    return epochs


def _read_due(connection: Connection, of_study: ColumnElement[bool]) -> Mapping[int, int]:
    """The epochs after which trials were found due to be stopped early."""
    attributes = optuna_system_attributes.c
    rows = connection.execute(
        select(attributes.trial_id, attributes.value_json)
        .join(optuna_trials, (optuna_trials.c.trial_id == attributes.trial_id) & of_study)
        .where(attributes.key == DUE_KEY)
    )
    return {row.trial_id: int(row.value_json) for row in rows}


def external_value(internal: float, distribution_json: str) -> ParameterValue:
    """A parameter's value from Optuna's internal representation:
    `BaseDistribution.to_external_repr` without Optuna.
    """
    distribution = json.loads(distribution_json)
    if distribution["name"] == "CategoricalDistribution":
        choice: ParameterValue = distribution["attributes"]["choices"][int(internal)]
        return choice
    return int(internal) if distribution["name"] == "IntDistribution" else internal
