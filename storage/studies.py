"""Creation, budget and end of a study: the rows that stand beside Optuna's."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Row, Select, func, or_, select, update

from storage.clock import now_ms
from storage.direction import Direction
from storage.engine import Database, persistent
from storage.errors import ForeignStudy, StudyDeleted, StudyEnded, StudyNotFound
from storage.schema import (
    attempt,
    follow_up,
    lease,
    optuna_studies,
    optuna_study_directions,
    optuna_study_system_attributes,
    optuna_trials,
    optuna_values,
    study,
)

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

StudyState = Literal["open", "paused", "ended"]
EndReason = Literal["trials", "timeout", "target", "failures", "stopped", "exhausted"]

# Which state may follow which, and what brings it there.
TRANSITIONS: dict[StudyState, tuple[StudyState, ...]] = {
    "open": ("paused", "ended"),
    "paused": ("open", "ended"),
    "ended": ("open",),  # a raised budget
}

# Failed trials use up no budget, so a cap ends a study that cannot work.
# so many with nothing finished: the fault is in the spec, the data or the machine
ALL_FAILED_CAP = 3
FAILED_CAP = 10  # or as many as the budget of trials, if that is more


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
    kind: str  # search.studies.followups
    number: int  # from 1, of its kind
    plan: str  # what was asked for, as JSON


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
    priority: int = 0
    # the absolute folder of images:FOLDER, where the study was created
    data_folder: str | None = None
    # of the data that its trials are trained on; None before the first
    data_fingerprint: str | None = None
    # where it is one
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


def _to_ascii(text: str) -> str:
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


def create_study(
    database: Database,
    optunas: "BaseStorage",
    *,
    name: str,
    metric: str,
    direction: Direction,
    definition: str,
    definition_hash: str,
    budget: Budget,
    priority: int = 0,
    costs: Sequence[str] = (),
    data_folder: str | None = None,
    also: Callable[[Connection, int], None] = lambda connection, study_id: None,
) -> bool:
    """Records a study in Optuna's tables and ours, in one transaction; `False` where one of that
    name is there.

    `costs` are further objectives, each to be minimized; `data_folder` is where its images lie on
    this machine. `also` is told the study's id, and writes what else is the study's.
    """
    from optuna.exceptions import DuplicatedStudyError
    from optuna.study import StudyDirection

    def insert(connection: Connection) -> None:
        study_id = connection.execute(
            select(optuna_studies.c.study_id).where(optuna_studies.c.study_name == name)
        ).scalar_one()
        connection.execute(
            study.insert().values(
                study_id=study_id,
                uid=uuid.uuid4().hex,
                definition=definition,
                definition_hash=definition_hash,
                trials=budget.trials,
                timeout_seconds=budget.timeout_seconds,
                target=budget.target,
                priority=priority,
                state="open",
                created_ms=now_ms(),
                data_folder=None if data_folder is None else _to_ascii(data_folder),
            )
        )
        # What `optuna.Study.set_metric_names` writes: the dashboard then names the axis.
        connection.execute(
            optuna_study_system_attributes.insert().values(
                study_id=study_id, key="study:metric_names", value_json=json.dumps([metric, *costs])
            )
        )
        also(connection, study_id)

    def create(repeated: bool) -> bool:
        try:
            with database.transactions.writing(extra=insert):
                directions = [
                    StudyDirection[direction.upper()],
                    *(StudyDirection.MINIMIZE for _ in costs),
                ]
                optunas.create_new_study(directions, name)
        except DuplicatedStudyError:
            return False
        return True

    return database.transactions.persist(create)


def raise_budget(
    database: Database, stored: StoredStudy, budget: Budget, most: int | None = None
) -> None:
    """Sets a new budget; a study that had ended goes on if the new one leaves it something to do.

    One that stays ended keeps when it ended; why is what keeps it so now. `most`: so many trials
    can be made at all.

    Raises:
        StudyDeleted: the study is gone.
    """

    def change(repeated: bool) -> None:
        with database.transactions.write() as connection:
            lock_study(connection, stored)
            connection.execute(
                update(study)
                .where(study.c.study_id == stored.study_id)
                .values(
                    trials=budget.trials,
                    timeout_seconds=budget.timeout_seconds,
                    target=budget.target,
                )
            )
            row = lock_study(connection, stored)
            counts = count_trials(connection, row.study_id)
            reason = due(row, counts, has_reached_target(connection, row))
            if row.state == "open" and reason is not None:
                move(connection, row, "ended", reason)
            if row.state != "ended":
                return
            if reason is None and most is not None and counts.finished + counts.failed >= most:
                reason = "exhausted"
            if reason is None:
                move(connection, row, "open")
            else:
                connection.execute(
                    update(study).where(study.c.study_id == row.study_id).values(end_reason=reason)
                )

    database.transactions.persist(change)


def pause_study(database: Database, stored: StoredStudy) -> None:
    """Lets no trial be taken, and workers hand theirs back; a paused study stays so.

    Raises:
        StudyEnded: there is nothing to pause.
        StudyDeleted: the study is gone.
    """
    _control(database, stored, "paused", "paused")


def resume_study(database: Database, stored: StoredStudy) -> None:
    """Lets a paused study go on; an open one stays so.

    Raises:
        StudyEnded: there is nothing to go on with.
        StudyDeleted: the study is gone.
    """
    _control(database, stored, "open", "resumed")


def stop_study(database: Database, stored: StoredStudy) -> None:
    """Ends the study as it stands; an ended one stays so.

    Raises:
        StudyDeleted: the study is gone.
    """
    _control(database, stored, "ended", "stopped", "stopped")


def _control(
    database: Database,
    stored: StoredStudy,
    to: StudyState,
    what: str,
    reason: EndReason | None = None,
) -> None:
    def change(repeated: bool) -> None:
        with database.transactions.write() as connection:
            row = lock_study(connection, stored)
            if row.state == "ended" and to != "ended":
                raise StudyEnded(stored.name, what)
            if row.state != to:
                move(connection, row, to, reason)

    database.transactions.persist(change)


def delete_study(
    database: Database,
    optunas: "BaseStorage",
    stored: StoredStudy,
    also: Callable[[Connection], None] = lambda connection: None,
) -> None:
    """Deletes the study with all its trials, in Optuna's tables and ours; `also` is done before, in
    the same transaction.

    Raises:
        StudyDeleted: it was gone already.
    """

    def is_there(connection: Connection) -> None:
        lock_study(connection, stored)
        also(connection)

    def delete(repeated: bool) -> None:
        try:
            with database.transactions.writing(guard=is_there):
                optunas.delete_study(stored.study_id)
        except (StudyDeleted, KeyError):
            if not repeated:
                raise StudyDeleted(stored.name) from None

    database.transactions.persist(delete)


def move(
    connection: Connection,
    row: Row[tuple[object, ...]],
    to: StudyState,
    reason: EndReason | None = None,
) -> None:
    """Takes the study whose locked row this is to a state that may follow its own."""
    if to not in TRANSITIONS[row.state]:
        raise ValueError(f"a study that is {row.state} cannot become {to}")
    connection.execute(
        update(study)
        .where(study.c.study_id == row.study_id)
        .values(
            state=to,
            end_reason=reason,
            ended_ms=now_ms() if to == "ended" else None,
            paused_ms=row.paused_ms + _stood_still_ms(row),
            paused_since_ms=now_ms() if to == "paused" else None,
        )
    )


def lock_study(connection: Connection, stored: StoredStudy) -> Row[tuple[object, ...]]:
    """The study's row, locked until the transaction ends, with the database's clock as `now`.

    The first statement of every transaction that needs this lock, so that no two wait for each
    other.

    Raises:
        StudyDeleted: the study is gone, or another one has its id.
    """
    row = connection.execute(_row_of(stored).with_for_update()).one_or_none()
    if row is None:
        raise StudyDeleted(stored.name)
    return row


def read_state(connection: Connection, stored: StoredStudy) -> tuple[StudyState, bool]:
    """The study's state as it is now, without a lock, and whether its time is up.

    Raises:
        StudyDeleted: the study is gone, or another one has its id.
    """
    row = connection.execute(_row_of(stored)).one_or_none()
    if row is None:
        raise StudyDeleted(stored.name)
    return row.state, row.state == "open" and _timed_out(row)


def _row_of(stored: StoredStudy) -> "Select[tuple[object, ...]]":
    # SQLite uses the ids of deleted studies again, so the id alone does not tell.
    return select(study, now_ms().label("now")).where(
        study.c.study_id == stored.study_id, study.c.uid == stored.uid
    )


@dataclass(frozen=True)
class Counts:
    """How many trials of a study have ended, by how."""

    complete: int
    pruned: int
    failed: int

    @property
    def finished(self) -> int:
        """What the budget counts."""
        return self.complete + self.pruned


def count_trials(connection: Connection, study_id: int) -> Counts:
    """Counts the study's trials by Optuna's states."""
    rows = connection.execute(
        select(optuna_trials.c.state, func.count())
        .where(optuna_trials.c.study_id == study_id)
        .group_by(optuna_trials.c.state)
    )
    found = {row[0]: row[1] for row in rows}
    return Counts(found.get("COMPLETE", 0), found.get("PRUNED", 0), found.get("FAIL", 0))


def end_if_due(connection: Connection, stored: StoredStudy) -> StudyState:
    """Ends the study if its budget is used up; returns its state after that. Raises
    StudyDeleted.
    """
    return end_locked_if_due(connection, lock_study(connection, stored))


def end_locked_if_due(connection: Connection, row: Row[tuple[object, ...]]) -> StudyState:
    """As `end_if_due`, for the study whose row this transaction has locked."""
    state: StudyState = row.state
    if state != "open":
        return state
    reason = due(row, count_trials(connection, row.study_id), has_reached_target(connection, row))
    if reason is None:
        return state
    move(connection, row, "ended", reason)
    return "ended"


def due(
    row: Row[tuple[object, ...]], counts: Counts, target_reached: bool = False
) -> EndReason | None:
    """Why the study whose locked row this is should end now, or stay ended; `None` where it should
    go on.
    """
    if counts.finished >= row.trials:
        return "trials"
    if target_reached:
        return "target"
    if _timed_out(row):
        return "timeout"
    if (counts.finished == 0 and counts.failed >= ALL_FAILED_CAP) or counts.failed >= max(
        FAILED_CAP, row.trials
    ):
        return "failures"
    return None


def has_reached_target(connection: Connection, row: Row[tuple[object, ...]]) -> bool:
    """Whether a complete trial has reached the target that the study whose row this is has now."""
    if row.target is None:
        return False
    directions, value = optuna_study_directions, optuna_values.c.value
    of_metric = (directions.c.study_id == row.study_id) & (directions.c.objective == 0)
    stored = connection.scalar(select(directions.c.direction).where(of_metric))
    direction = Direction(str(stored).lower())
    reaching = (
        select(optuna_values.c.trial_id)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_values.c.trial_id)
        .where(optuna_trials.c.study_id == row.study_id, optuna_trials.c.state == "COMPLETE")
        .where(optuna_values.c.objective == 0, direction.reached(value, row.target))
    )
    return connection.execute(reaching.limit(1)).first() is not None


def _timed_out(row: Row[tuple[object, ...]]) -> bool:
    if row.timeout_seconds is None or row.started_ms is None:
        return False
    elapsed_ms = row.now - row.started_ms - row.paused_ms - _stood_still_ms(row)
    return bool(elapsed_ms >= row.timeout_seconds * 1000)


def _stood_still_ms(row: Row[tuple[object, ...]]) -> int:
    """For how long the study has been paused, or ended, by now; before its first trial no time of
    it is counted.
    """
    since_ms = row.ended_ms if row.state == "ended" else row.paused_since_ms
    return 0 if since_ms is None or row.started_ms is None else max(0, row.now - since_ms)


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
