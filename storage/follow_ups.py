"""Which studies follow another one up, and how one comes to be."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Integer, column, delete, inspect, select, table, update

from storage.computing import Computed
from storage.engine import Database, persistent
from storage.schema import follow_up, optuna_studies, optuna_trials, study
from storage.slots import insert_slots
from storage.studies import StoredStudy, select_studies
from storage.study_control import delete_study
from storage.study_states import lock_study

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


@persistent
def read_follow_ups(database: Database, parent: StoredStudy) -> list[StoredStudy]:
    """Those of the study, in the order of their creation."""
    query = (
        select_studies()
        .where(follow_up.c.parent_id == parent.study_id)
        .order_by(optuna_studies.c.study_id)
    )
    with database.transactions.read() as connection:
        return [StoredStudy.from_row(row) for row in connection.execute(query)]


def follows(
    parent: StoredStudy,
    kind: str,
    number: int,
    plan: str,
    first_stage: Sequence[str],
    computed: Computed | None = None,
) -> Callable[[Connection, int], None]:
    """What create_study is to write beside a study that follows `parent` up: its plan, and the
    slots of its first stage, which are to be `computed` so. Raises StudyDeleted where the parent is
    gone.
    """

    def write(connection: Connection, study_id: int) -> None:
        lock_study(connection, parent)
        connection.execute(
            follow_up.insert().values(
                study_id=study_id,
                parent_id=parent.study_id,
                kind=kind,
                number=number,
                plan=plan,
            )
        )
        insert_slots(connection, study_id, 0, 1, first_stage, computed)
        # It is on its parent's data from its first training on, wherever that is.
        data = select(study.c.data_fingerprint, study.c.pixel_scales).where(
            study.c.study_id == parent.study_id
        )
        connection.execute(
            update(study)
            .where(study.c.study_id == study_id)
            .values(**connection.execute(data).one()._mapping)
        )

    return write


def delete_with_follow_ups(database: Database, optunas: "BaseStorage", stored: StoredStudy) -> None:
    """Deletes the study and all that follow it up, in one transaction. Raises StudyDeleted."""

    def delete_the_others(connection: Connection) -> None:
        ids = list(
            connection.scalars(
                select(follow_up.c.study_id).where(follow_up.c.parent_id == stored.study_id)
            )
        )
        if ids:
            _delete_rows(connection, ids)

    delete_study(database, optunas, stored, delete_the_others)


def _delete_rows(connection: Connection, study_ids: Sequence[int]) -> None:
    """What Optuna's `delete_study` deletes, which opens a transaction of its own for each study:
    the rows of every table that refers to the studies' trials, or to the studies.
    """
    trials = select(optuna_trials.c.trial_id).where(optuna_trials.c.study_id.in_(study_ids))
    inspector = inspect(connection)
    references = {
        name: {
            key["referred_table"]: key["constrained_columns"][0]
            for key in inspector.get_foreign_keys(name)
        }
        for name in inspector.get_table_names()
    }
    for name, of in references.items():
        if "trials" in of:
            by_trial = column(of["trials"], Integer)
            connection.execute(delete(table(name, by_trial)).where(by_trial.in_(trials)))
    for name in sorted(references, key=lambda each: each == "trials"):
        if "studies" in references[name]:
            by_study = column("study_id", Integer)
            connection.execute(delete(table(name, by_study)).where(by_study.in_(study_ids)))
    connection.execute(delete(optuna_studies).where(optuna_studies.c.study_id.in_(study_ids)))
