"""Which artifacts trials name: read by study, by trial, or of all."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress

from sqlalchemy import Connection, select

from storage.engine import Database, persistent
from storage.schema import (
    optuna_study_system_attributes,
    optuna_system_attributes,
    optuna_trials,
)

# A trial calls the file of its network so.
MODEL_FILE = "model.safetensors"
# A trial calls the file of what it has fitted on a pretrained network's features so.
REGRESSION_FILE = "regression.safetensors"
# A follow-up with a pretrained baseline calls the file of that network's weights so.
WEIGHTS_FILE = "weights.pth"
# The keys by which Optuna names a trial's artifacts, or a study's own, begin with it.
ARTIFACT_PREFIX = "artifacts:"


@persistent
def read_artifact_ids(database: Database, study_id: int | None) -> set[str]:
    """The ids of the artifacts of the study and its trials; `None`: of all."""
    with database.transactions.read() as connection:
        return artifact_ids(connection, None if study_id is None else [study_id])


def artifact_ids(connection: Connection, study_ids: Collection[int] | None) -> set[str]:
    """The ids of the artifacts of the studies and their trials; `None`: of all."""
    key = optuna_system_attributes.c.key
    of_trials = (
        select(key)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id)
        .where(key.startswith(ARTIFACT_PREFIX))
    )
    own = optuna_study_system_attributes.c
    of_studies = select(own.key).where(own.key.startswith(ARTIFACT_PREFIX))
    if study_ids is not None:
        of_trials = of_trials.where(optuna_trials.c.study_id.in_(study_ids))
        of_studies = of_studies.where(own.study_id.in_(study_ids))
    named = [*connection.scalars(of_trials), *connection.scalars(of_studies)]
    return {found.removeprefix(ARTIFACT_PREFIX) for found in named}


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
    """Whether it is an artifact of any trial, or of any study."""
    key = f"{ARTIFACT_PREFIX}{artifact_id}"
    of_trials = (
        select(optuna_trials.c.trial_id)
        .join(
            optuna_system_attributes,
            optuna_trials.c.trial_id == optuna_system_attributes.c.trial_id,
        )
        .where(optuna_system_attributes.c.key == key)
    )
    own = optuna_study_system_attributes.c
    of_studies = select(own.study_id).where(own.key == key)
    with database.transactions.read() as connection:
        return any(
            connection.scalar(query.limit(1)) is not None for query in (of_trials, of_studies)
        )


def name_artifacts(connection: Connection, study_id: int, named: Mapping[str, str]) -> None:
    """Makes artifacts a study's own: `named` are their attributes, as `storage.artifacts` gives
    them.
    """
    if named:
        connection.execute(
            optuna_study_system_attributes.insert(),
            [
                {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
                for key, value in named.items()
            ],
        )
