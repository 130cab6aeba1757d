"""What a sampler sees of a large study, beside what Optuna reads of it; on every database."""

import random
from collections.abc import Callable
from copy import copy
from dataclasses import replace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.algorithms.sight import sees_some
from search.spec.methods import CMAES, GP, TPE, Sampler
from search.spec.reading import parse_spec
from storage.engine import open_for_work
from storage.leases.optuna_storage import LeasedStorage
from storage.sampled_trials import SampledTrials, number_hash

DISTRIBUTIONS = {
    "optimizer": CategoricalDistribution(["sgd", "adam"]),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "size": IntDistribution(8, 64),
}
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def add_trials(rdb: RDBStorage, name: str, count: int, directions: list[str]) -> optuna.Study:
    """Complete, pruned, failed and running ones."""
    chance = random.Random(name)
    study = optuna.create_study(storage=rdb, study_name=name, directions=directions)
    for number in range(count):
        state = (TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)[number // 10 % 3]
        state = state if number % 10 == 9 else TrialState.COMPLETE
        params = {
            "optimizer": chance.choice(["sgd", "adam"]),
            "rate": chance.uniform(1e-4, 1.0),
            "size": chance.randrange(8, 65),
        }
        is_pruned = state == TrialState.PRUNED
        reports = {1: chance.random(), 2: float("nan")} if is_pruned and number % 20 == 9 else {}
        study.add_trial(
            create_trial(
                state=state,
                values=[chance.random() for _ in directions]
                if state == TrialState.COMPLETE
                else None,
                params=params,
                distributions=DISTRIBUTIONS,
                intermediate_values=reports,
                system_attrs={"constraints:diverged": 1.0} if is_pruned else {},
            )
        )
    return study


def seen(trials: list[FrozenTrial] | None) -> str:
    """All of the trials but their times, which no sampler looks at and which are not read."""
    timeless = [copy(trial) for trial in trials or ()]
    for trial in timeless:
        trial.datetime_start = trial.datetime_complete = None
    return repr(timeless)


def expected(study: optuna.Study, best: int, others: int) -> list[FrozenTrial]:
    """Of all that Optuna reads."""
    finished = study.get_trials(states=FINISHED)
    complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
    first = sorted(complete, key=lambda trial: (-trial.values[0], trial.number))[:best]
    numbers = {trial.number for trial in first}
    rest = sorted(
        (trial for trial in finished if trial.number not in numbers),
        key=lambda trial: number_hash(trial.number),
    )
    found = [*first, *rest[:others], *study.get_trials(states=(TrialState.RUNNING,))]
    return sorted(found, key=lambda trial: trial.number)


def test_the_best_and_some_others_are_read_as_optuna_reads_them(shared_url: str) -> None:
    database, rdb = open_for_work(shared_url)
    with database:
        study = add_trials(rdb, "sampled", 70, ["maximize"])
        study_id = rdb.get_study_id_from_name("sampled")
        sampled = SampledTrials(database, study_id, [True], best=10, others=15)
        assert seen(sampled.read()) == seen(expected(study, 10, 15))
        # Each is read once: a second look finds what has ended since.
        study.add_trial(
            create_trial(value=2.0, params=study.trials[0].params, distributions=DISTRIBUTIONS)
        )
        assert seen(sampled.read()) == seen(expected(study, 10, 15))
        rdb.remove_session()


def test_of_several_objectives_each_has_its_best(shared_url: str) -> None:
    database, rdb = open_for_work(shared_url)
    with database:
        study = add_trials(rdb, "costs", 40, ["maximize", "minimize"])
        study_id = rdb.get_study_id_from_name("costs")
        found = SampledTrials(database, study_id, [True, False], best=2, others=10).read()
        assert found is not None
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        numbers = {trial.number for trial in found}
        assert max(complete, key=lambda trial: trial.values[0]).number in numbers
        assert min(complete, key=lambda trial: trial.values[1]).number in numbers
        assert len([trial for trial in found if trial.state in FINISHED]) == 12
        rdb.remove_session()


def test_of_a_study_that_is_not_large_all_is_seen(shared_url: str) -> None:
    database, rdb = open_for_work(shared_url)
    with database:
        add_trials(rdb, "small", 40, ["maximize"])
        study_id = rdb.get_study_id_from_name("small")
        assert SampledTrials(database, study_id, [True], best=10, others=28).read() is None
        assert SampledTrials(database, study_id, [True], best=10, others=20).read()
        rdb.remove_session()


class Leases:
    """Whose reads are not repeated."""

    def persist_read(self, query: Callable[[], object]) -> object:
        return query()


def test_a_view_of_a_large_study_is_of_those_trials_and_each_view_looks_again(
    new_database: Callable[[str], str],
) -> None:
    database, rdb = open_for_work(new_database("sqlite"))
    with database:
        add_trials(rdb, "view", 20, ["maximize"])
        study_id = rdb.get_study_id_from_name("view")
        looked: list[int] = []

        class Looked(SampledTrials):
            def read(self) -> list[FrozenTrial] | None:
                looked.append(1)
                return super().read()

        for most, count in ((10, 10), (100, 19)):
            sampled = Looked(database, study_id, [True], best=most // 2, others=most // 2)
            storage = LeasedStorage(rdb, Leases(), None, sampled)  # type: ignore[arg-type]
            with storage.one_view():
                seen = storage.get_all_trials(study_id, deepcopy=False, states=FINISHED)
                assert storage.get_all_trials(study_id, False, FINISHED) == seen
            assert len(seen) == count
            # What a pruner compares with is all.
            assert len(storage.get_all_trials(study_id, deepcopy=False)) == 20
        assert len(looked) == 2
        rdb.remove_session()


@pytest.mark.parametrize(
    ("sampler", "version", "is_some"),
    [(TPE(), 5, True), (GP(), 5, True), (CMAES(), 5, False), (TPE(), 4, False)],
)
def test_older_definitions_and_cma_es_look_at_all(
    sampler: Sampler, version: int, is_some: bool
) -> None:
    assert sees_some(replace(parse_spec({}), sampler=sampler, version=version)) is is_some
