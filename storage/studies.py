"""Creation, budget and end of a study: the rows that stand beside Optuna's."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Row, Select, func, select, update

from storage.engine import Database, now_ms
from storage.errors import ForeignStudy, StudyNotFound
from storage.schema import attempt, lease, optuna_studies, optuna_trials, study

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

StudyState = Literal["open", "paused", "ended"]
EndReason = Literal["trials", "timeout", "target", "failures"]

# Which state may follow which, and what brings it there.
TRANSITIONS: dict[StudyState, tuple[StudyState, ...]] = {
    "open": ("paused", "ended"),
    "paused": ("open", "ended"),
    "ended": ("open",),  # a raised budget
}

# Failed trials use up no budget, so a cap ends a study that cannot work.
ALL_FAILED_CAP = 3  # so many with nothing finished: the fault is in the spec, the data or the machine
FAILED_CAP = 10  # or as many as the budget of trials, if that is more


@dataclass(frozen=True)
class Budget:
    """When a study ends: the part of a spec that may be raised later."""

    trials: int
    timeout_seconds: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class StoredStudy:
    """A study as the database holds it."""

    study_id: int
    uid: str
    name: str
    definition: str  # canonical JSON
    definition_hash: str
    budget: Budget
    state: StudyState
    end_reason: EndReason | None
    started_ms: int | None
    ended_ms: int | None

    @classmethod
    def from_row(cls, row: Row[tuple[object, ...]]) -> "StoredStudy":
        """Reads a row of `select_studies`."""
        found = row._mapping
        return cls(
            study_id=found["study_id"],
            uid=found["uid"],
            name=found["study_name"],
            definition=found["definition"],
            definition_hash=found["definition_hash"],
            budget=Budget(found["trials"], found["timeout_seconds"], found["target"]),
            state=found["state"],
            end_reason=found["end_reason"],
            started_ms=found["started_ms"],
            ended_ms=found["ended_ms"],
        )


def select_studies() -> "Select[tuple[object, ...]]":
    """Every study that has a spec, with its name in Optuna's table."""
    return select(study, optuna_studies.c.study_name).join(
        optuna_studies, optuna_studies.c.study_id == study.c.study_id
    )


def find_study(database: Database, name: str) -> StoredStudy:
    """The study called `name`.

    Raises:
        StudyNotFound: there is none, or it has no spec.
        ForeignStudy: a study of plain Optuna has that name.
    """
    with database.transactions.read() as connection:
        row = connection.execute(select_studies().where(optuna_studies.c.study_name == name)).one_or_none()
        if row is not None:
            return StoredStudy.from_row(row)
        names = tuple(connection.scalars(select(optuna_studies.c.study_name)))
    if name in names:
        raise ForeignStudy(name)
    raise StudyNotFound(name, names)


def create_study(
    database: Database,
    optunas: "BaseStorage",
    *,
    name: str,
    metric: str,
    direction: Literal["maximize", "minimize"],
    definition: str,
    definition_hash: str,
    budget: Budget,
) -> bool:
    """Records a study in Optuna's tables and ours, in one transaction; `False` where one of that name is there."""
    from optuna.exceptions import DuplicatedStudyError
    from optuna.study import StudyDirection

    def insert(connection: Connection) -> None:
        study_id = connection.scalar(select(optuna_studies.c.study_id).where(optuna_studies.c.study_name == name))
        # Plain Optuna deletes a study without ours where SQLite's foreign keys are off, and SQLite uses its id again.
        connection.execute(study.delete().where(study.c.study_id == study_id))
        connection.execute(
            study.insert().values(
                study_id=study_id,
                uid=uuid.uuid4().hex,
                definition=definition,
                definition_hash=definition_hash,
                trials=budget.trials,
                timeout_seconds=budget.timeout_seconds,
                target=budget.target,
                state="open",
                created_ms=now_ms(),
            )
        )

    try:
        with database.transactions.writing(extra=insert):
            study_id = optunas.create_new_study([StudyDirection[direction.upper()]], name)
    except DuplicatedStudyError:
        return False
    with database.transactions.writing():
        # What `optuna.Study.set_metric_names` writes: the dashboard then names the axis.
        optunas.set_study_system_attr(study_id, "study:metric_names", [metric])
    return True


def raise_budget(database: Database, study_id: int, budget: Budget) -> None:
    """Sets a new budget; a study that had ended goes on if the new one leaves it something to do."""
    with database.transactions.write() as connection:
        connection.execute(
            update(study)
            .where(study.c.study_id == study_id)
            .values(trials=budget.trials, timeout_seconds=budget.timeout_seconds, target=budget.target)
        )
        row = connection.execute(select(study.c.state, study.c.end_reason).where(study.c.study_id == study_id)).one()
        if row.state == "ended":
            move(connection, study_id, "open")
            end_if_due(connection, study_id)


def move(connection: Connection, study_id: int, to: StudyState, reason: EndReason | None = None) -> None:
    """Takes a study from a state that allows it to `to`; where another worker has done so already, nothing changes."""
    allowed = [state for state, following in TRANSITIONS.items() if to in following]
    connection.execute(
        update(study)
        .where(study.c.study_id == study_id, study.c.state.in_(allowed))
        .values(state=to, end_reason=reason, ended_ms=now_ms() if to == "ended" else None)
    )


def lock_study(connection: Connection, study_id: int) -> Row[tuple[object, ...]]:
    """The study's row, locked until the transaction ends, with the database's clock as `now`."""
    return connection.execute(
        select(study, now_ms().label("now")).where(study.c.study_id == study_id).with_for_update()
    ).one()


def count_trials(connection: Connection, study_id: int) -> dict[str, int]:
    """How many trials are in each of Optuna's states, by its name."""
    rows = connection.execute(
        select(optuna_trials.c.state, func.count())
        .where(optuna_trials.c.study_id == study_id)
        .group_by(optuna_trials.c.state)
    )
    return {row[0]: row[1] for row in rows}


def count_leased(connection: Connection, study_id: int) -> int:
    """How many trials of the study are held by a worker or wait to be taken up again."""
    held = select(func.count()).select_from(lease.join(optuna_trials, lease.c.trial_id == optuna_trials.c.trial_id))
    return connection.scalar(held.where(optuna_trials.c.study_id == study_id)) or 0


def end_if_due(connection: Connection, study_id: int, *, target_reached: bool = False) -> StudyState:
    """Ends the study if its budget is used up; returns its state after that."""
    row = lock_study(connection, study_id)
    if row.state == "open" and (reason := _due(connection, row, target_reached)) is not None:
        move(connection, study_id, "ended", reason)
        return "ended"
    state: StudyState = row.state
    return state


def _due(connection: Connection, row: Row[tuple[object, ...]], target_reached: bool) -> EndReason | None:
    counts = count_trials(connection, row.study_id)
    finished = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
    failed = counts.get("FAIL", 0)
    if finished >= row.trials:
        return "trials"
    if target_reached:
        return "target"
    elapsed_ms = 0 if row.started_ms is None else row.now - row.started_ms
    if row.timeout_seconds is not None and elapsed_ms >= row.timeout_seconds * 1000:
        return "timeout"
    if (finished == 0 and failed >= ALL_FAILED_CAP) or failed >= max(FAILED_CAP, row.trials):
        return "failures"
    return None


def first_failure(database: Database, study_id: int) -> str | None:
    """Why the first failed trial of the study failed."""
    reasons = (
        select(attempt.c.reason)
        .join(optuna_trials, optuna_trials.c.trial_id == attempt.c.trial_id)
        .where(optuna_trials.c.study_id == study_id, attempt.c.outcome == "failed")
        .order_by(optuna_trials.c.number)
    )
    with database.transactions.read() as connection:
        return connection.scalar(reasons.limit(1))
