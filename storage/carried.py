"""Trainings that another follow-up has finished, taken over as they stand: the new follow-up holds
copies of them, and outlives the other one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    Inspector,
    Integer,
    column,
    insert,
    inspect,
    literal,
    select,
    table,
    update,
)

from storage.clock import now_ms
from storage.schema import lease, optuna_trials, prediction, slot_trial, split, study

# These tables say who trains a trial, and for which slot.
LEFT_OUT = (lease.name, slot_trial.name, "trial_heartbeats")


@dataclass(frozen=True)
class Carried:
    """Which trials of which follow-up are taken over, by the slots that they fill."""

    study_id: int
    # The ids stand by slot.
    trial_ids: Mapping[int, int]


def carry_over(connection: Connection, study_id: int, carried: Carried) -> None:
    """Copies the trials with all that is recorded of them but their answers to a test split,
    numbered from 0 in the order of their slots; the caller makes the study in this transaction.
    """
    inspector = inspect(connection)
    of_trials = _columns_that_name_trials(inspector)
    for number, (slot, source) in enumerate(sorted(carried.trial_ids.items())):
        own = {"study_id": study_id, "number": number}
        _copy(connection, inspector, "trials", "trial_id", source, own)
        copied = connection.execute(
            select(optuna_trials.c.trial_id).where(
                optuna_trials.c.study_id == study_id, optuna_trials.c.number == number
            )
        ).scalar_one()
        for name, key in of_trials.items():
            _copy(connection, inspector, name, key, source, {key: copied})
        of_test = (prediction.c.trial_id == copied) & (prediction.c.split == "test")
        connection.execute(prediction.delete().where(of_test))
        connection.execute(slot_trial.insert().values(trial_id=copied, slot=slot))
    _copy(connection, inspector, split.name, "study_id", carried.study_id, {"study_id": study_id})
    connection.execute(
        update(study).where(study.c.study_id == study_id).values(started_ms=now_ms())
    )


def _columns_that_name_trials(inspector: Inspector) -> dict[str, str]:
    """Of every table that refers to trials, Optuna's and ours, by the table's name."""
    return {
        name: key["constrained_columns"][0]
        for name in inspector.get_table_names()
        for key in inspector.get_foreign_keys(name)
        if key["referred_table"] == "trials" and name not in LEFT_OUT
    }


def _copy(
    connection: Connection,
    inspector: Inspector,
    name: str,
    key: str,
    value: int,
    own: Mapping[str, int],
) -> None:
    """Inserts the rows whose `key` is `value` once more, with its `own` values in their columns; an
    id that the database counts is a new one.
    """
    counted = inspector.get_pk_constraint(name)["constrained_columns"]
    left_out = set(counted) - set(own) if len(counted) == 1 else set()
    names = [each["name"] for each in inspector.get_columns(name)]
    kept = [each for each in names if each not in left_out]
    source = table(name, *(column(each) for each in names))
    row = [
        literal(own[each], Integer).label(each) if each in own else source.c[each] for each in kept
    ]
    query = select(*row).where(source.c[key] == literal(value, Integer))
    connection.execute(insert(source).from_select(kept, query))
