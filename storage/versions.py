"""With which versions of what a trial was trained: recorded where it ends."""

import json

from sqlalchemy import func, select

from storage.engine import Database, persistent
from storage.schema import VERSIONS_KEY, optuna_system_attributes, optuna_trials


@persistent
def read_versions(database: Database, study_id: int, number: int) -> dict[str, str]:
    """By name; empty where the trial is from before they were recorded."""
    query = (
        select(optuna_system_attributes.c.value_json)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id)
        .where(
            optuna_trials.c.study_id == study_id,
            optuna_trials.c.number == number,
            optuna_system_attributes.c.key == VERSIONS_KEY,
        )
    )
    with database.transactions.read() as connection:
        found = connection.scalar(query)
    return {} if found is None else dict(json.loads(found))


@persistent
def read_all_versions(database: Database, study_id: int) -> list[dict[str, str]]:
    """What the trials of a study were trained with, each combination of versions once, in the order
    of its first trial; none where all are from before they were recorded.
    """
    query = (
        select(optuna_system_attributes.c.value_json)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id)
        .where(
            optuna_trials.c.study_id == study_id,
            optuna_system_attributes.c.key == VERSIONS_KEY,
        )
        .group_by(optuna_system_attributes.c.value_json)
        .order_by(func.min(optuna_trials.c.number))
    )
    with database.transactions.read() as connection:
        return [dict(json.loads(found)) for found in connection.scalars(query)]
