"""Studies as the database holds them: the rows that stand beside Optuna's, found and read."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Row, Select, func, or_, select

from storage.engine import Database, persistent
from storage.errors import ForeignStudy, StudyNotFound
from storage.schema import (
    attempt,
    follow_up,
    lease,
    optuna_studies,
    optuna_trials,
    study,
)

StudyState = Literal["open", "paused", "ended"]
EndReason = Literal["trials", "timeout", "target", "failures", "stopped", "exhausted"]


@dataclass(frozen=True)
class Budget:
    """When a study ends: the part of a spec that may be raised later."""

    trials: int
    timeout_seconds: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class FollowUp:
    """What a study that follows another one up is for."""

    parent_id: int
    parent_name: str
    # The kind is one of search.studies.followups.
    kind: str
    # Follow-ups are numbered from 1, by kind.
    number: int
    # The plan says as JSON what was asked for.
    plan: str


@dataclass(frozen=True)
class StoredStudy:
    """A study as the database holds it."""

    study_id: int
    uid: str
    name: str
    # The definition is canonical JSON.
    definition: str
    definition_hash: str
    budget: Budget
    state: StudyState
    end_reason: EndReason | None
    started_ms: int | None
    ended_ms: int | None
    priority: int = 0
    # The folder of images:FOLDER is absolute, as it was where the study was created.
    data_folder: str | None = None
    # The fingerprint is that of the data that its trials are trained on; None before the first.
    data_fingerprint: str | None = None
    # A study that is no follow-up has none.
    follow_up: FollowUp | None = None

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
            priority=found["priority"],
            data_folder=None if found["data_folder"] is None else _from_ascii(found["data_folder"]),
            data_fingerprint=found["data_fingerprint"],
            follow_up=None
            if found["kind"] is None
            else FollowUp(
                found["parent_id"],
                found["parent_name"],
                found["kind"],
                found["number"],
                found["plan"],
            ),
        )


def to_ascii(text: str) -> str:
    """What every database holds, whatever a folder is called: MySQL's may know Latin letters
    alone.
    """
    return text.encode("unicode_escape").decode("ascii")


def _from_ascii(stored: str) -> str:
    return stored.encode("ascii").decode("unicode_escape")


def select_studies() -> "Select[tuple[object, ...]]":
    """Every study that has a spec, with its name in Optuna's table."""
    return _with_follow_up(
        select(study, optuna_studies.c.study_name).join(
            optuna_studies, optuna_studies.c.study_id == study.c.study_id
        )
    )


_parents = optuna_studies.alias("parents")


def _with_follow_up(query: "Select[tuple[object, ...]]") -> "Select[tuple[object, ...]]":
    columns = (follow_up.c.parent_id, follow_up.c.kind, follow_up.c.number, follow_up.c.plan)
    return (
        query.add_columns(*columns, _parents.c.study_name.label("parent_name"))
        .outerjoin(follow_up, follow_up.c.study_id == study.c.study_id)
        .outerjoin(_parents, _parents.c.study_id == follow_up.c.parent_id)
    )


def find_study(database: Database, name: str) -> StoredStudy:
    """The study called `name`.

    Raises:
        StudyNotFound: there is none, or it has no spec.
        ForeignStudy: a study of plain Optuna has that name.
    """

    # The escape of what no database can hold is the name of no study.
    wanted = name.encode(errors="backslashreplace").decode()
    # One statement: between two, another process may create it, and it would be found in the second
    # one alone.
    query = _with_follow_up(
        select(study, optuna_studies.c.study_name)
        .select_from(optuna_studies)
        .outerjoin(study, optuna_studies.c.study_id == study.c.study_id)
        .where(optuna_studies.c.study_name == wanted)
    )

    def find(repeated: bool) -> StoredStudy:
        with database.transactions.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise StudyNotFound(
                    name, tuple(connection.scalars(select(optuna_studies.c.study_name)))
                )
            if row.uid is None:
                raise ForeignStudy(name)
            return StoredStudy.from_row(row)

    return database.transactions.persist(find)


def read_workable(database: Database) -> list[tuple[StoredStudy, int]]:
    """The studies that a worker may have something to do for, each with how many workers hold
    trials of it.

    Those that have not ended, and those that have and whose last trials are still leased.
    """
    counts = (
        select(
            optuna_trials.c.study_id,
            func.count(lease.c.trial_id).label("leased"),
            func.count(lease.c.owner).label("held"),
        )
        .join(lease, lease.c.trial_id == optuna_trials.c.trial_id)
        .group_by(optuna_trials.c.study_id)
        .subquery()
    )
    query = (
        select_studies()
        .add_columns(func.coalesce(counts.c.held, 0).label("held"))
        .outerjoin(counts, counts.c.study_id == study.c.study_id)
        .where(or_(study.c.state != "ended", counts.c.leased > 0))
    )

    def read(repeated: bool) -> list[tuple[StoredStudy, int]]:
        with database.transactions.read() as connection:
            return [(StoredStudy.from_row(row), row.held) for row in connection.execute(query)]

    return database.transactions.persist(read)


@persistent
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
