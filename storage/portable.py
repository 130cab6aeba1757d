"""All rows of a study as any database holds them: without the ids that each database gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Enum,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    select,
)

from storage import schema

Row: TypeAlias = dict[str, object]
# Trials are read by so many: no statement takes long.
TRIALS_AT_ONCE = 200

# Optuna's tables with columns that no other query of ours names; Optuna makes them.
_optunas = MetaData()
trials = Table(
    "trials",
    _optunas,
    Column("trial_id", Integer, primary_key=True),
    Column("study_id", Integer),
    Column("number", Integer),
    Column("state", schema.optuna_trials.c.state.type),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
)
trial_values = Table(
    "trial_values",
    _optunas,
    Column("trial_value_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("objective", Integer),
    Column("value", Float(53)),
    Column("value_type", Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
)
study_user_attributes = Table(
    "study_user_attributes",
    _optunas,
    Column("study_user_attribute_id", Integer, primary_key=True),
    Column("study_id", Integer),
    Column("key", String(512)),
    Column("value_json", Text),
)
trial_user_attributes = Table(
    "trial_user_attributes",
    _optunas,
    Column("trial_user_attribute_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("key", String(512)),
    Column("value_json", Text),
)
# Each of them has a study_id, or a trial_id.
OF_STUDY = (
    schema.optuna_study_directions,
    study_user_attributes,
    schema.optuna_study_system_attributes,
    schema.study,
    schema.follow_up,
    schema.split,
    schema.slot,
)
OF_TRIAL = (
    schema.optuna_params,
    trial_values,
    schema.optuna_intermediate_values,
    trial_user_attributes,
    schema.optuna_system_attributes,
    *schema.OF_TRIAL,
)


@dataclass(frozen=True)
class Part:
    """Some rows of one table; what a database numbers by itself is left out, and a trial is its
    number.
    """

    table: Table
    rows: Sequence[Row]


def read_portable(connection: Connection, study_id: int, *, in_seconds: bool) -> Iterator[Part]:
    """The rows of a study, in an order that is the same in every database: what is the study's
    first, then some trials and what is theirs, and so on.

    The study's name is left out, and so are its parent, readings, which outlive it, and signs of
    life of plain Optuna's workers. `in_seconds`: Optuna's own times are cut to whole seconds, as
    MySQL holds no others. Ours are milliseconds everywhere.
    """
    for table in OF_STUDY:
        query = select(table).where(table.c.study_id == study_id).order_by(*table.primary_key)
        dropped = {"study_id", "parent_id", *_numbered_by_itself(table)}
        yield from _part(
            table, [_without(dropped, dict(row._mapping)) for row in connection.execute(query)]
        )
    numbers = connection.execute(
        select(trials.c.trial_id, trials.c.number)
        .where(trials.c.study_id == study_id)
        .order_by(trials.c.trial_id)
    ).all()
    for start in range(0, len(numbers), TRIALS_AT_ONCE):
        some = {row.trial_id: row.number for row in numbers[start : start + TRIALS_AT_ONCE]}
        yield from _of_trials(connection, some, in_seconds)


def _of_trials(
    connection: Connection, numbers: Mapping[int, int], in_seconds: bool
) -> Iterator[Part]:
    for table in (trials, *OF_TRIAL):
        query = (
            select(table)
            .where(table.c.trial_id.in_(numbers))
            .order_by(table.c.trial_id, *table.primary_key)
        )
        dropped = {"study_id", "trial_id", *_numbered_by_itself(table)}
        rows = [
            _without(dropped, dict(row._mapping)) | {"number": numbers[row.trial_id]}
            for row in connection.execute(query)
        ]
        if in_seconds and table is trials:
            rows = [{name: _cut(value) for name, value in row.items()} for row in rows]
        yield from _part(table, rows)


def _part(table: Table, rows: Sequence[Row]) -> Iterator[Part]:
    if rows:
        yield Part(table, rows)


def _numbered_by_itself(table: Table) -> set[str]:
    """Optuna's tables have one number of each row; ours are told apart by what they are of."""
    return {column.name for column in table.primary_key if len(table.primary_key) == 1}


def _without(names: set[str], row: Mapping[str, object]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _cut(value: object) -> object:
    return value.replace(microsecond=0) if isinstance(value, datetime) else value
