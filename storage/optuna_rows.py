"""What a worker writes into Optuna's tables itself, as Optuna's own storage writes it: so it stands
in one transaction with our rows, and takes fewer statements.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from optuna.distributions import BaseDistribution, distribution_to_json
from sqlalchemy import Connection, func, select, update

from storage.schema import (
    optuna_intermediate_values,
    optuna_params,
    optuna_studies,
    optuna_system_attributes,
    optuna_trials,
    optuna_values,
)


def insert_trial(connection: Connection, study_id: int) -> tuple[int, int]:
    """Makes a running trial with nothing in it; returns its id and its number.

    Locks the study's row as Optuna does, so that no two trials get one number, whoever makes them.
    """
    of_study = optuna_studies.c.study_id == study_id
    connection.execute(select(optuna_studies.c.study_id).where(of_study).with_for_update())
    before = select(func.count()).where(optuna_trials.c.study_id == study_id)
    number = connection.scalar(before) or 0
    made = connection.execute(
        optuna_trials.insert().values(
            study_id=study_id, number=number, state="RUNNING", datetime_start=_now()
        )
    )
    assert made.inserted_primary_key is not None
    return made.inserted_primary_key.trial_id, number


def end_trial(
    connection: Connection,
    trial_id: int,
    state: Literal["COMPLETE", "PRUNED", "FAIL"],
    values: Sequence[float],
) -> bool:
    """Ends a running trial with its values, one an objective, or none; `False` where it has ended
    already, and nothing is written. None of the values is NaN: Optuna holds no such one.
    """
    ended = connection.execute(
        update(optuna_trials)
        .where(optuna_trials.c.trial_id == trial_id, optuna_trials.c.state == "RUNNING")
        .values(state=state, datetime_complete=_now())
    )
    if ended.rowcount == 0:
        return False
    stored = [_to_stored(value) for value in values]
    rows = [
        {"trial_id": trial_id, "objective": objective, "value": value, "value_type": kind}
        for objective, (value, kind) in enumerate(stored)
    ]
    if rows:
        connection.execute(optuna_values.insert(), rows)
    return True


def insert_parameters(
    connection: Connection,
    trial_id: int,
    values: Mapping[str, float],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    """Records parameters in Optuna's internal representation."""
    rows = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": value,
            "distribution_json": distribution_to_json(distributions[name]),
        }
        for name, value in values.items()
    ]
    if rows:
        connection.execute(optuna_params.insert(), rows)


def has_parameters(connection: Connection, trial_id: int) -> bool:
    """Whether parameters of the trial are recorded."""
    of_trial = optuna_params.c.trial_id == trial_id
    found = connection.execute(select(optuna_params.c.param_id).where(of_trial).limit(1))
    return found.first() is not None


def insert_report(connection: Connection, trial_id: int, epoch: int, value: float) -> None:
    """Records an intermediate value."""
    stored, kind = _to_stored(value)
    connection.execute(
        optuna_intermediate_values.insert(),
        {
            "trial_id": trial_id,
            "step": epoch,
            "intermediate_value": stored,
            "intermediate_value_type": kind,
        },
    )


def delete_report(connection: Connection, trial_id: int, epoch: int) -> None:
    """Forgets the intermediate value of one epoch."""
    table = optuna_intermediate_values
    connection.execute(table.delete().where(table.c.trial_id == trial_id, table.c.step == epoch))


def delete_reports_after(connection: Connection, trial_id: int, epochs: int) -> None:
    """Forgets the intermediate values after so many epochs."""
    table = optuna_intermediate_values
    connection.execute(table.delete().where(table.c.trial_id == trial_id, table.c.step > epochs))


def insert_attributes(connection: Connection, trial_id: int, texts: Mapping[str, str]) -> None:
    """Records system attributes, which are given as JSON texts."""
    rows = [{"trial_id": trial_id, "key": key, "value_json": text} for key, text in texts.items()]
    if rows:
        connection.execute(optuna_system_attributes.insert(), rows)


def delete_attributes(connection: Connection, trial_id: int, keys: Iterable[str]) -> None:
    """Forgets system attributes."""
    table = optuna_system_attributes
    connection.execute(
        table.delete().where(table.c.trial_id == trial_id, table.c.key.in_(list(keys)))
    )


def _to_stored(value: float) -> tuple[float | None, str]:
    """A number and its kind as Optuna holds them: not every database can hold inf and NaN."""
    if math.isfinite(value):
        return value, "FINITE"
    if math.isnan(value):
        return None, "NAN"
    return None, "INF_POS" if value > 0 else "INF_NEG"


def _now() -> datetime:
    # Optuna's times are UTC without a zone, by the clock of whoever writes them; we compute nothing
    # from them.
    return datetime.now(UTC).replace(tzinfo=None)
