"""Each sampler draws what it says, is a function of spec, number and record, and ends where nothing
is left.
"""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from objectives.hyperparameters import Hyperparameters
from objectives.protocol import Pulse, ResumableTraining
from objectives.synthetic import synthetic_curve
from search.algorithms.samplers import build_sampler, draw
from search.machine.this_machine import Files
from search.space.domains import Choice, Range, Value
from search.space.parameters import PARAMETERS
from search.spec.definition import stored_spec
from search.spec.document import Document, Toml
from search.spec.methods import SAMPLERS
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.loop import work, workplace
from search.worker.objective import Objective
from storage.computing import Computing
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.records import TrialRecord, read_trials
from storage.studies import find_study

EPOCHS = 2


def pinned() -> dict[str, Toml]:
    """Every parameter of the space at one value, what can be off off."""
    space: dict[str, Toml] = {}
    for name, parameter in PARAMETERS.items():
        default = parameter.default
        one = default.low if isinstance(default, Range) else 64
        if isinstance(default, Choice) and default.is_single:
            (one,) = default.options
        space[name] = (
            False
            if parameter.off is not None
            else parameter.options[0]
            if parameter.options
            else one
        )
    return space


ENUMERATION: dict[str, Toml] = {
    **pinned(),
    "optimizer": ["sgd", "adam"],
    "sgd.learning_rate": [0.03, 0.1],
    "sgd.momentum": [0.0, 0.9],
    "dropout": [False, 0.2],
}
CONFIGURATIONS = (2 * 2 + 1) * 2
RANGES: dict[str, Toml] = {
    **ENUMERATION,
    "optimizer": "sgd",
    "sgd.learning_rate": {"low": 0.001, "high": 1.0, "log": True},
    "sgd.momentum": {"low": 0.0, "high": 0.99},
    "batch_size": {"low": 16, "high": 128, "log": True},
    "dropout": {"low": 0.0, "high": 0.6},
}


def document(
    sampler: Toml, trials: int, space: dict[str, Toml] | None = None, seed: int = 0
) -> Document:
    return {
        "study": {
            "name": "s",
            "trials": trials,
            "pruner": "median",
            "sampler": sampler,
            "seed": seed,
        },
        "data": {"dataset": "synthetic"},
        "training": {"epochs": EPOCHS},
        "space": {} if space is None else dict(space),
    }


def curve(
    hyperparameters: Hyperparameters,
    seed: int,
    computing: Computing,
    resume: bytes | None,
    pulse: Pulse,
) -> ResumableTraining:
    return synthetic_curve(hyperparameters, EPOCHS, seed, resume=resume, pulse=pulse)


def run(
    url: str, folder: Path, asked: Document, train=curve
) -> tuple[list[TrialRecord], str | None]:  # type: ignore[no-untyped-def]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(url)
    with database:
        joined = join(database, rdb, Request(asked, {}, "test"))

        def choose() -> list[JoinedStudy]:
            stored = find_study(database, joined.stored.name)
            return [JoinedStudy(stored, stored_spec(stored))]

        me, files = (
            this_worker(this_host(), "-", 0),
            Files(str(folder / "artifacts"), folder / "checkpoints"),
        )
        with (
            workplace(database, rdb, me, files) as place,
            closing(
                work(
                    place,
                    rdb,
                    choose,
                    lambda spec: Objective(train, "cpu", Computing(1, 64)),
                    sleep=lambda seconds: None,
                )
            ) as all_,
        ):
            for _ in all_:
                pass
        stored = find_study(database, joined.stored.name)
        return read_trials(database, stored.study_id), stored.end_reason


def new_url(folder: Path, name: str) -> str:
    return f"sqlite:///{folder}/{name}.db"


@pytest.mark.parametrize(
    "sampler",
    [pytest.param(each, marks=pytest.mark.long if each == "gp" else ()) for each in SAMPLERS],
)
def test_the_same_seed_gives_the_same_trials_with_one_worker_and_another_seed_others(
    tmp_path: Path, sampler: str
) -> None:
    named: Toml = {"name": sampler, "startup_trials": 3} if sampler in ("tpe", "gp") else sampler
    space = {"grid": ENUMERATION, "brute_force": ENUMERATION, "cmaes": RANGES}.get(sampler)
    drawn = []
    for number, seed in enumerate((0, 0, 1)):
        trials, _ = run(new_url(tmp_path, str(number)), tmp_path, document(named, 9, space, seed))
        drawn.append([(trial.parameters, trial.value) for trial in trials])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len({str(parameters) for parameters, _ in drawn[0]}) == 9


@pytest.mark.parametrize("sampler", ["grid", "brute_force"])
def test_a_study_ends_when_every_configuration_has_been_run(tmp_path: Path, sampler: str) -> None:
    trials, reason = run(new_url(tmp_path, "a"), tmp_path, document(sampler, 40, ENUMERATION))
    assert len({str(trial.parameters) for trial in trials}) == len(trials) == CONFIGURATIONS
    assert reason == "exhausted"
    assert run(new_url(tmp_path, "a"), tmp_path, document(sampler, 40, ENUMERATION)) == (
        trials,
        "exhausted",
    )


def test_a_budget_below_the_number_of_configurations_ends_the_study(tmp_path: Path) -> None:
    trials, reason = run(
        new_url(tmp_path, "a"), tmp_path, document("grid", CONFIGURATIONS, ENUMERATION)
    )
    assert (len(trials), reason) == (CONFIGURATIONS, "trials")


def test_a_configuration_that_fails_is_not_run_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def flaky(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        calls.append(seed)
        if len(calls) == 2:
            raise ValueError("broken")
        return curve(hyperparameters, seed, computing, resume, pulse)

    trials, reason = run(new_url(tmp_path, "a"), tmp_path, document("grid", 40, ENUMERATION), flaky)
    assert [trial.number for trial in trials if trial.state == "failed"] == [1]
    assert len({str(trial.parameters) for trial in trials}) == len(trials) == CONFIGURATIONS
    assert reason == "exhausted"


def test_an_enumeration_in_which_everything_fails_has_failed(tmp_path: Path) -> None:
    def broken(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        raise ValueError("broken")

    # There are two configurations, fewer than the cap on failures.
    space = {**ENUMERATION, "optimizer": "adam"}
    trials, reason = run(new_url(tmp_path, "a"), tmp_path, document("grid", 40, space), broken)
    assert [trial.state for trial in trials] == ["failed", "failed"]
    assert reason == "failures"


def test_several_workers_run_each_configuration_once(url: str, tmp_path: Path) -> None:
    results: list[tuple[list[TrialRecord], str | None]] = []

    def slow(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return synthetic_curve(
            hyperparameters, EPOCHS, seed, resume=resume, pulse=pulse, seconds_per_epoch=0.02
        )

    def one_worker() -> None:
        results.append(run(url, tmp_path, document("brute_force", 40, ENUMERATION), slow))

    workers = [threading.Thread(target=one_worker) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [reason for _, reason in results] == ["exhausted"] * 4
    trials = results[-1][0]
    assert len({str(trial.parameters) for trial in trials}) == len(trials) == CONFIGURATIONS


def configuration(
    spec: StudySpec, number: int, study: optuna.Study | None = None
) -> dict[str, Value]:
    study = study or optuna.create_study(direction=spec.direction)
    study.sampler = build_sampler(spec, number)
    running = create_trial(state=TrialState.RUNNING)
    running.number = number
    return draw(spec.space, study, running, {}).values


def test_a_trial_takes_the_sobol_point_of_its_number() -> None:
    spec = parse_spec(document("qmc", 64, RANGES, seed=5))
    drawn = [configuration(spec, number) for number in range(64)]
    for name in ("sgd.momentum", "dropout"):
        domain = RANGES[name]
        assert isinstance(domain, dict)
        values = [float(values[name]) for values in drawn]
        cells = sorted(
            int(64 * (value - float(domain["low"])) / float(domain["high"])) for value in values
        )  # type: ignore[arg-type]
        # Each sixty-fourth of the range has one, as it would not have of random ones.
        assert cells == list(range(64))
    assert drawn == [configuration(spec, number) for number in range(64)]


def recorded(
    spec: StudySpec, numbers: range, pruned: bool = False
) -> list[optuna.trial.FrozenTrial]:
    """Trials of a made-up objective: the nearer momentum to 0.9 and dropout to 0.1 the better."""
    study = optuna.create_study(direction="maximize")
    for number in numbers:
        study.sampler = build_sampler(spec, number)
        running = create_trial(state=TrialState.RUNNING)
        running.number = number
        found = draw(spec.space, study, running, {})
        value = -abs(float(found.values.get("sgd.momentum", 0.0)) - 0.9) - abs(
            float(found.values["dropout"]) - 0.1
        )
        study.add_trial(
            create_trial(
                params=found.values,
                distributions=found.distributions,
                value=value,
                state=TrialState.PRUNED if pruned and number % 2 else TrialState.COMPLETE,
                intermediate_values={1: value},
            )
        )
    return study.trials


@pytest.mark.parametrize(("sampler", "pruned"), [("gp", True), ("cmaes", True), ("cmaes", False)])
def test_a_sampler_that_learns_comes_nearer_to_the_best(sampler: str, pruned: bool) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    count = 20 if sampler == "gp" else 40
    trials = recorded(parse_spec(document(sampler, count, RANGES)), range(count), pruned)
    at_random = recorded(parse_spec(document("random", count, RANGES)), range(count))
    late, random_late = (
        [trial.value or 0.0 for trial in each[-8:]] for each in (trials, at_random)
    )
    assert sum(late) / 8 > sum(random_late) / 8 + 0.1


def test_gp_models_parameters_that_only_some_trials_have() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = parse_spec(
        document({"name": "gp", "startup_trials": 8}, 40, {**RANGES, "optimizer": ["sgd", "adam"]})
    )
    trials = recorded(spec, range(18))
    late = [trial for trial in trials[10:] if trial.params["optimizer"] == "sgd"]
    # Without momentum the optimizer never comes near.
    assert len(late) >= 6
    assert sum(trial.params["sgd.momentum"] > 0.6 for trial in late) >= len(late) / 2


def test_cmaes_learns_from_ranks_alone() -> None:
    spec = parse_spec(document("cmaes", 40, RANGES))
    trials = recorded(spec, range(16))

    def drawn_after(change: Callable[[float], float]) -> dict[str, Value]:
        study = optuna.create_study(direction="maximize")
        for trial in trials:
            assert trial.value is not None
            study.add_trial(
                create_trial(
                    params=trial.params,
                    distributions=trial.distributions,
                    value=change(trial.value),
                    state=trial.state,
                )
            )
        return configuration(spec, 20, study)

    assert drawn_after(lambda value: value) == drawn_after(lambda value: 1000 * value - 5)
    assert drawn_after(lambda value: value) != drawn_after(lambda value: -value)


def test_no_other_sampler_runs_out() -> None:
    counted = {"grid": ENUMERATION, "brute_force": ENUMERATION}
    specs = {name: parse_spec(document(name, 30, counted.get(name, RANGES))) for name in SAMPLERS}
    assert {name: spec.most_trials for name, spec in specs.items()} == {
        name: CONFIGURATIONS if name in counted else None for name in SAMPLERS
    }
    assert {name: spec.planned_trials for name, spec in specs.items()} == {
        name: CONFIGURATIONS if name in counted else 30 for name in SAMPLERS
    }
