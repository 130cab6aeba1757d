"""A study is created, paused, stopped, given more to do, and deleted."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from storage.clock import now_ms
from storage.direction import Direction
from storage.engine import Database
from storage.errors import StudyDeleted, StudyEnded
from storage.schema import optuna_studies, optuna_study_system_attributes, study
from storage.studies import Budget, EndReason, StoredStudy, StudyState, to_ascii
from storage.study_states import count_trials, due, lock_study, move

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


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

    row: dict[str, str | int | float | None] = {
        "definition": definition,
        "definition_hash": definition_hash,
        "trials": budget.trials,
        "timeout_seconds": budget.timeout_seconds,
        "target": budget.target,
        "priority": priority,
        "data_folder": None if data_folder is None else to_ascii(data_folder),
    }
    directions = [
        StudyDirection[direction.upper()],
        *(StudyDirection.MINIMIZE for _ in costs),
    ]

    def insert(connection: Connection) -> None:
        study_id = _insert_beside(connection, name, row, (metric, *costs))
        also(connection, study_id)

    def create(repeated: bool) -> bool:
        try:
            with database.transactions.writing(extra=insert):
                optunas.create_new_study(directions, name)
        except DuplicatedStudyError:
            return False
        return True

    return database.transactions.persist(create)


def _insert_beside(
    connection: Connection,
    name: str,
    row: Mapping[str, str | int | float | None],
    metrics: Sequence[str],
) -> int:
    """Writes our rows of the study that Optuna has just made; returns its id."""
    of_name = optuna_studies.c.study_name == name
    study_id: int = connection.execute(
        select(optuna_studies.c.study_id).where(of_name)
    ).scalar_one()
    connection.execute(
        study.insert().values(
            study_id=study_id,
            uid=uuid.uuid4().hex,
            state="open",
            created_ms=now_ms(),
            **row,
        )
    )
    # The call `optuna.Study.set_metric_names` writes the same: the dashboard then names the axis.
    connection.execute(
        optuna_study_system_attributes.insert().values(
            study_id=study_id, key="study:metric_names", value_json=json.dumps(metrics)
        )
    )
    return study_id


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
            reason = due(connection, row, counts)
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
