"""Which artifacts trials name: read by study, by trial, or of all."""

import json
from collections import defaultdict
from contextlib import suppress

from sqlalchemy import select

from storage.engine import Database, persistent
from storage.schema import (
    optuna_system_attributes,
    optuna_trials,
)

# The keys by which Optuna names a trial's artifacts begin with it.
# A trial calls the file of its network so.
MODEL_FILE = "model.safetensors"
ARTIFACT_PREFIX = "artifacts:"


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
def read_trial_artifacts(database: Database, study_id: int, number: int) -> dict[str, str]:
    """The artifacts of the study's trial of that number: their ids by file name."""
    key, value = optuna_system_attributes.c.key, optuna_system_attributes.c.value_json
    query = (
        select(key, value)
        .join(
            optuna_trials,
            optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id,
        )
        .where(
            optuna_trials.c.study_id == study_id,
            optuna_trials.c.number == number,
            key.startswith(ARTIFACT_PREFIX),
        )
    )
    found = {}
    with database.transactions.read() as connection:
        for row in connection.execute(query):
            with suppress(ValueError, TypeError, LookupError):
                name = json.loads(json.loads(row.value_json))["filename"]
                found[name] = row.key.removeprefix(ARTIFACT_PREFIX)
    return found


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
