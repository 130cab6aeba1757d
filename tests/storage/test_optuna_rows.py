"""What we write into Optuna's tables is what Optuna itself would write there."""

import math
from datetime import datetime, timedelta
from typing import Literal

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage.engine import Database, open_for_work
from storage.optuna_rows import (
    delete_attributes,
    delete_report,
    delete_reports_after,
    end_trial,
    has_parameters,
    insert_attributes,
    insert_parameters,
    insert_report,
    insert_trial,
)

SPACE = {"x": FloatDistribution(0, 1)}
STATES: dict[TrialState, Literal["COMPLETE", "PRUNED", "FAIL"]] = {
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.FAIL: "FAIL",
}
REPORTS = {1: 0.25, 2: math.inf, 3: -math.inf}


def by_optuna(rdb: RDBStorage, study_id: int, state: TrialState, values: list[float]) -> int:
    trial_id = rdb.create_new_trial(study_id)
    rdb.set_trial_param(trial_id, "x", 0.5, SPACE["x"])
    for step, value in REPORTS.items():
        rdb.set_trial_intermediate_value(trial_id, step, value)
    rdb.set_trial_system_attr(trial_id, "note", [1, "a"])
    rdb.set_trial_state_values(trial_id, state, values or None)
    return trial_id


def by_us(
    database: Database, study_id: int, state: TrialState, values: list[float], number: int
) -> int:
    with database.transactions.write() as connection:
        trial_id, given = insert_trial(connection, study_id)
        assert given == number
        assert not has_parameters(connection, trial_id)
        insert_parameters(connection, trial_id, {"x": 0.5}, SPACE)
        assert has_parameters(connection, trial_id)
        for step, value in {**REPORTS, 4: 1.0, 5: math.nan, 6: 2.0}.items():
            insert_report(connection, trial_id, step, value)
        delete_report(connection, trial_id, 4)
        delete_reports_after(connection, trial_id, 4)
        insert_attributes(connection, trial_id, {"note": '[1, "a"]', "other": "1"})
        delete_attributes(connection, trial_id, ["other"])
        assert end_trial(connection, trial_id, STATES[state], values)
        assert not end_trial(connection, trial_id, "COMPLETE", [7.0])
    return trial_id


def content(trial: FrozenTrial) -> dict[str, object]:
    """All that Optuna reads of a trial, but for its id, its number and the time."""
    both = (trial.datetime_start, trial.datetime_complete)
    assert all(each and abs(datetime.now() - each) < timedelta(minutes=10) for each in both)
    apart = ("_trial_id", "_number", "_datetime_start", "datetime_complete")
    return {name: value for name, value in vars(trial).items() if name not in apart}


@pytest.mark.parametrize(
    ("state", "values"),
    [
        (TrialState.COMPLETE, [0.75, 3.0]),
        (TrialState.PRUNED, [math.inf, -math.inf]),
        (TrialState.FAIL, []),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_trial_that_we_make_and_end_is_as_optunas_own(
    state: TrialState, values: list[float], shared_url: str
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(shared_url)
    with database, database.transactions.writing():
        study_id = rdb.create_new_study([StudyDirection.MINIMIZE] * 2)
        theirs = by_optuna(rdb, study_id, state, values)
        ours = by_us(database, study_id, state, values, number=1)
        again = by_optuna(rdb, study_id, state, values)
        trials = [rdb.get_trial(each) for each in (theirs, ours, again)]
        assert [trial.number for trial in trials] == [0, 1, 2]
        assert content(trials[1]) == content(trials[0]) == content(trials[2])
