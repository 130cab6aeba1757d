"""The trials of a large study that its sampler learns from: the best, and some of the others."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import BigInteger, Connection, Row, Select, Table, cast, func, select

from storage.engine import Database, persistent
from storage.schema import (
    optuna_intermediate_values,
    optuna_params,
    optuna_system_attributes,
    optuna_trials,
    optuna_values,
)

# At most so many trials are read, of those that are complete or pruned.
BEST, OTHERS = 500, 1500
# The numbers are of Knuth, The Art of Computer Programming 3, section 6.4: multiplicative hashing
# by the golden ratio.
_FACTOR, _MODULUS = 2654435761, 2**32
_IS_FINISHED = optuna_trials.c.state.in_(("COMPLETE", "PRUNED"))
# One query asks for so many trials.
_IDS_AT_ONCE = 500


def number_hash(number: int) -> int:
    """By which the others are chosen: the same ones for every worker, and few of them change when a
    trial ends.
    """
    return number * _FACTOR % _MODULUS


class SampledTrials:
    """What a sampler sees of one study with more finished trials than it looks at: each of them is
    read once.

    >>> SampledTrials(database, stored.study_id, ["maximize"]).read()      # doctest: +SKIP
    """

    def __init__(
        self,
        database: Database,
        study_id: int,
        maximized: Sequence[bool],
        *,
        best: int = BEST,
        others: int = OTHERS,
    ) -> None:
        self._database = database
        self._study_id = study_id
        # There is one flag an objective.
        self._maximized = maximized
        self._best = best
        self._others = others
        # Finished trials are kept, as they change no more.
        self._known: dict[int, FrozenTrial] = {}

    @property
    def _most(self) -> int:
        return self._best + self._others

    def read(self) -> list[FrozenTrial] | None:
        """Those trials and the running ones, by number; `None` where the study has no more finished
        ones than these: the sampler sees all. Raises StorageUnavailable.
        """
        if (found := _read(self._database, self)) is None:
            return None
        # Once the transaction has ended: making thousands of trials takes a while.
        read: dict[int, FrozenTrial] = {}
        for rows in found.rows:
            read |= _trials(rows)
        self._known = {each: self._known.get(each) or read[each] for each in found.chosen}
        running = [read[each] for each in found.running]
        return sorted([*self._known.values(), *running], key=lambda trial: trial.number)

    def look(self, connection: Connection) -> "_Found | None":
        """The rows that `read` makes trials of."""
        of_study = optuna_trials.c.study_id == self._study_id, _IS_FINISHED
        count = connection.scalar(select(func.count()).select_from(optuna_trials).where(*of_study))
        if (count or 0) <= self._most:
            return None
        chosen = self._chosen(connection)
        running = connection.scalars(
            select(optuna_trials.c.trial_id).where(
                optuna_trials.c.study_id == self._study_id, optuna_trials.c.state == "RUNNING"
            )
        ).all()
        wanted = [*(each for each in chosen if each not in self._known), *running]
        rows = [
            _read_rows(connection, wanted[start : start + _IDS_AT_ONCE])
            for start in range(0, len(wanted), _IDS_AT_ONCE)
        ]
        return _Found(chosen, running, rows)

    def _chosen(self, connection: Connection) -> list[int]:
        """Of several objectives each has its share of the best."""
        value, number = optuna_values.c.value, optuna_trials.c.number
        each = self._best // len(self._maximized)
        chosen: dict[int, None] = {}
        for objective, is_maximized in enumerate(self._maximized):
            of_objective = (
                select(optuna_trials.c.trial_id)
                .join(optuna_values, optuna_values.c.trial_id == optuna_trials.c.trial_id)
                .where(
                    optuna_trials.c.study_id == self._study_id,
                    optuna_trials.c.state == "COMPLETE",
                    optuna_values.c.objective == objective,
                )
                .order_by(value.desc() if is_maximized else value, number)
                .limit(each)
            )
            chosen |= dict.fromkeys(connection.scalars(of_objective))
        hashed = cast(number, BigInteger) * _FACTOR % _MODULUS
        others = connection.scalars(
            select(optuna_trials.c.trial_id)
            .where(optuna_trials.c.study_id == self._study_id, _IS_FINISHED)
            .order_by(hashed, number)
            .limit(self._most)
        ).all()
        rest = [trial_id for trial_id in others if trial_id not in chosen]
        return [*chosen, *rest[: self._others]]


Rows = Sequence[Row[tuple[object, ...]]]


@dataclass(frozen=True)
class _Rows:
    """What the database holds of some trials."""

    trials: Rows
    parameters: Rows
    values: Rows
    attributes: Rows
    reports: Rows


@dataclass(frozen=True)
class _Found:
    """Which trials were chosen, and the rows of those that were not known."""

    chosen: Sequence[int]
    running: Sequence[int]
    rows: Sequence[_Rows]


@persistent
def _read(database: Database, sampled: SampledTrials) -> _Found | None:
    with database.transactions.snapshot() as connection:
        return sampled.look(connection)


def _read_rows(connection: Connection, ids: Sequence[int]) -> _Rows:
    def of(table: Table) -> Select[tuple[object, ...]]:
        return select(table).where(table.c.trial_id.in_(ids))

    return _Rows(
        connection.execute(of(optuna_trials)).all(),
        connection.execute(of(optuna_params).order_by(optuna_params.c.param_id)).all(),
        connection.execute(of(optuna_values).order_by(optuna_values.c.objective)).all(),
        connection.execute(of(optuna_system_attributes)).all(),
        connection.execute(
            of(optuna_intermediate_values)
            .join(optuna_trials, optuna_trials.c.trial_id == optuna_intermediate_values.c.trial_id)
            .where(optuna_trials.c.state == "PRUNED")
        ).all(),
    )


def _trials(rows: _Rows) -> dict[int, FrozenTrial]:
    """As Optuna's storage reads them, but for times, user attributes, and reports of others than
    pruned ones, which no sampler looks at.
    """
    parameters, values = _by_trial(rows.parameters), _by_trial(rows.values)
    attributes, reports = _by_trial(rows.attributes), _by_trial(rows.reports)
    found = {}
    for row in rows.trials:
        distributions = {
            each.param_name: _distribution(each.distribution_json)
            for each in parameters[row.trial_id]
        }
        found[row.trial_id] = FrozenTrial(
            number=row.number,
            trial_id=row.trial_id,
            state=TrialState[row.state],
            value=None,
            values=[each.value for each in values[row.trial_id]] or None,
            datetime_start=None,
            datetime_complete=None,
            params={
                each.param_name: distributions[each.param_name].to_external_repr(each.param_value)
                for each in parameters[row.trial_id]
            },
            distributions=distributions,
            user_attrs={},
            system_attrs={
                each.key: json.loads(each.value_json) for each in attributes[row.trial_id]
            },
            intermediate_values={
                each.step: _NUMBERS.get(each.intermediate_value_type, each.intermediate_value)
                for each in reports[row.trial_id]
            },
        )
    return found


_NUMBERS = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}


def _by_trial(rows: Iterable[Row[tuple[object, ...]]]) -> dict[int, list[Row[tuple[object, ...]]]]:
    found: dict[int, list[Row[tuple[object, ...]]]] = defaultdict(list)
    for row in rows:
        found[row.trial_id].append(row)
    return found


@lru_cache(maxsize=4096)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
