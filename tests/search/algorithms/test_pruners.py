"""Which trials are due to be stopped: as Optuna's own pruners say where both mean the same, and
where they differ.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping

import optuna
import pytest
from optuna.pruners import (
    BasePruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.algorithms.distributions import distribution
from search.algorithms.pruners import (
    RULES,
    JudgedStudy,
    TrialCurve,
    due_attribute,
    hyperband_bracket,
    is_audited,
    is_due,
)
from search.space.domains import Choice, Value
from search.spec.document import Document, Toml
from search.spec.methods import ASHA, Hyperband
from search.spec.reading import parse_spec
from search.spec.study_spec import StudySpec
from storage.direction import Direction

EPOCHS = 9
PLAIN: dict[str, Value] = {
    "optimizer": "sgd",
    "sgd.learning_rate": 0.1,
    "batch_size": 64,
    "scheduler": "constant",
}
COSINE: dict[str, Value] = {**PLAIN, "scheduler": "cosine"}
DROPOUT: dict[str, Value] = {**PLAIN, "dropout.on": True, "dropout": 0.5}


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def spec_of(pruner: Toml, metric: str = "accuracy", seed: int = 0) -> StudySpec:
    study: Document = {"pruner": pruner, "metric": metric, "seed": seed}
    # The spec is that of a stored study: a threshold for made-up losses below 0 would be refused of
    # a new one.
    return parse_spec({"study": study, "training": {"epochs": EPOCHS}}, stored=True)


def trial(
    number: int,
    curve: Mapping[int, float],
    state: TrialState = TrialState.RUNNING,
    params: Mapping[str, Value] = PLAIN,
    due: int | None = None,
) -> FrozenTrial:
    made = create_trial(
        state=state,
        value=curve[max(curve)] if state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        params=dict(params),
        distributions={name: distribution(Choice((value,))) for name, value in params.items()},
        intermediate_values=dict(curve),
        system_attrs=(
            {} if due is None else {key: int(text) for key, text in due_attribute(due).items()}
        ),
    )
    made.number = number
    return made


def after_each(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values, start=1))


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        # The first trial goes on.
        ([0.5], [], False),
        ([0.5], [[0.6]], True),
        ([0.6], [[0.5]], False),
        # It is the second of six, and the best two go on.
        ([0.5], [[0.6], [0.1], [0.1], [0.1], [0.1]], False),
        ([0.5], [[0.6], [0.7], [0.1], [0.1], [0.1]], True),
        # The second epoch is no rung.
        ([0.9, 0.1], [[0.9, 0.9]], False),
        # The third epoch is a rung.
        ([0.9, 0.9, 0.1], [[0.9, 0.9, 0.9]], True),
    ],
)
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_asha_goes_on_with_the_best_third_at_each_rung(
    own: list[float], others: list[list[float]], expected: bool, metric: str
) -> None:
    sign = 1 if metric == "accuracy" else -1
    spec = spec_of({"name": "asha", "min_epochs": 1, "reduction_factor": 3}, metric)
    trials = [
        trial(number, after_each([sign * value for value in values]), TrialState.PRUNED)
        for number, values in enumerate(others)
    ]
    running = trial(len(others), after_each([sign * value for value in own]))
    assert is_due(spec, running, lambda: [*trials, running]) is expected


def test_failed_trials_are_not_compared_with() -> None:
    spec = spec_of({"name": "asha", "min_epochs": 1})
    assert not is_due(spec, trial(1, {1: 0.5}), lambda: [trial(0, {1: 0.6}, TrialState.FAIL)])


def sequential_verdicts(
    pruner: BasePruner, direction: str, seed: int
) -> Iterator[tuple[TrialCurve, list[TrialCurve], bool]]:
    """Trials one after another, each judged by Optuna after each epoch: (the trial so far, those
    before, verdict).
    """
    rng = random.Random(seed)
    study = optuna.create_study(direction=direction, pruner=pruner)
    sign = 1 if direction == "maximize" else -1
    before: list[TrialCurve] = []
    for number in range(30):
        running = study.ask()
        level, slope, values = rng.random(), rng.uniform(-0.2, 0.3), {}
        for epoch in range(1, EPOCHS + 1):
            values[epoch] = round(sign * (level + slope * epoch / EPOCHS + rng.gauss(0, 0.1)), 2)
            running.report(values[epoch], epoch)
            own = TrialCurve(number, {each: sign * value for each, value in values.items()})
            due = running.should_prune()
            yield own, before, due
            if due:
                break
        study.tell(
            running,
            state=TrialState.PRUNED if due else None,
            values=None if due else values[EPOCHS],
        )
        before = [*before, TrialCurve(number, own.curve, is_complete=not due)]


def wrapped_median() -> BasePruner:
    return PatientPruner(MedianPruner(n_startup_trials=3, n_warmup_steps=2), patience=1)


SAME_AS_OPTUNA: list[tuple[Toml, Callable[[], BasePruner]]] = [
    ({"name": "median", "startup_trials": 4, "min_epochs": 3}, lambda: MedianPruner(4, 3)),
    (
        {"name": "percentile", "percentile": 30.0, "startup_trials": 2, "min_epochs": 1},
        lambda: PercentilePruner(30.0, 2, 1),
    ),
    (
        {"name": "asha", "min_epochs": 1, "reduction_factor": 3},
        lambda: SuccessiveHalvingPruner(1, 3, 0),
    ),
    (
        {"name": "asha", "min_epochs": 2, "reduction_factor": 2},
        lambda: SuccessiveHalvingPruner(2, 2, 0),
    ),
    (
        # Optuna's patience is of the epochs after the first one without improvement.
        {
            "name": "patient",
            "patience": 2,
            "of": {"name": "median", "startup_trials": 3, "min_epochs": 2},
        },
        wrapped_median,
    ),
    (
        {"name": "threshold", "lower": 0.4, "min_epochs": 4},
        lambda: ThresholdPruner(lower=0.4, n_warmup_steps=4),
    ),
    (
        {"name": "threshold", "upper": -0.4, "min_epochs": 4},
        lambda: ThresholdPruner(upper=-0.4, n_warmup_steps=4),
    ),
]


# PatientPruner warns that it is experimental.
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("options", "build"), SAME_AS_OPTUNA)
def test_the_verdict_is_that_of_optunas_pruner_where_both_mean_the_same(
    options: Toml, build: Callable[[], BasePruner], seed: int
) -> None:
    both = ("maximize", "minimize")
    if isinstance(options, dict) and options["name"] == "threshold":
        both = ("maximize",) if "lower" in options else ("minimize",)
    verdicts = []
    for direction in both:
        rule = spec_of(options, "accuracy" if direction == "maximize" else "loss").pruner.rule
        for own, before, expected in sequential_verdicts(build(), direction, seed):
            setting = JudgedStudy(0, EPOCHS, Direction(direction))
            others = [run for run in before if max(own.curve) in run.curve]
            assert RULES[rule.name](rule, own, lambda others=others: others, setting) == expected
            verdicts.append(expected)
    assert set(verdicts) == {False, True}


def test_hyperband_is_asha_within_brackets_of_the_shares_of_the_paper() -> None:
    setting = JudgedStudy(seed=7, epochs=27)
    rule = Hyperband(min_epochs=1, reduction_factor=3)
    brackets = [hyperband_bracket(rule, number, setting) for number in range(3000)]
    # Li et al. 2018, table 1, for R = 27: 27, 12, 6 and 4 configurations.
    expected = [3000 * share / 49 for share in (27, 12, 6, 4)]
    assert [brackets.count(bracket) for bracket in range(4)] == pytest.approx(expected, rel=0.15)
    second = [number for number in range(3000) if brackets[number] == 1]
    better = [
        TrialCurve(number, {1: 0.9, 2: 0.9, 3: 0.9})
        for number in range(3000)
        if brackets[number] != 1
    ]
    alike = [TrialCurve(number, {1: 0.5, 2: 0.5, 3: 0.7}) for number in second[:5]]
    own = {1: 0.1, 2: 0.1, 3: 0.6}

    def due(epoch: int, others: list[TrialCurve]) -> bool:
        curve = {each: value for each, value in own.items() if each <= epoch}
        return RULES["hyperband"](rule, TrialCurve(second[9], curve), lambda: others, setting)

    # The first rung of the second bracket is at 3.
    assert [due(epoch, better + alike) for epoch in (1, 2, 3)] == [False, False, True]
    assert not due(3, better)
    assert RULES["asha"](ASHA(3, 3), TrialCurve(second[9], own), lambda: alike, setting)


def test_annealing_trials_are_compared_with_annealing_ones_alone() -> None:
    spec = spec_of({"name": "asha", "min_epochs": 3})
    constant = [trial(number, {3: 0.9}, TrialState.COMPLETE) for number in range(6)]
    own = trial(9, {3: 0.5}, params=COSINE)
    assert not is_due(spec, own, lambda: constant)
    assert is_due(spec, own, lambda: [*constant, trial(8, {3: 0.6}, params=COSINE)])
    assert is_due(spec, trial(9, {3: 0.5}), lambda: constant)
    all_with_all = spec_of({"name": "asha", "min_epochs": 3, "like_with_like": False})
    assert is_due(all_with_all, own, lambda: constant)


def test_a_regularized_trial_is_judged_later_and_with_its_like() -> None:
    spec = spec_of({"name": "asha", "min_epochs": 2})
    plain = [trial(number, {2: 0.9, 3: 0.9}, TrialState.COMPLETE) for number in range(6)]
    regularized = [trial(number, {2: 0.6, 3: 0.6}, params=DROPOUT) for number in range(6, 9)]
    assert not is_due(spec, trial(9, {2: 0.5}, params=DROPOUT), lambda: plain + regularized)
    assert is_due(spec, trial(9, {2: 0.5, 3: 0.5}, params=DROPOUT), lambda: plain + regularized)
    assert not is_due(spec, trial(9, {2: 0.5, 3: 0.5}, params=DROPOUT), lambda: plain)
    assert is_due(spec, trial(9, {2: 0.5}), lambda: plain)
    patient = spec_of({"name": "patient", "patience": 1, "of": {"name": "asha", "min_epochs": 2}})
    falls = trial(9, {1: 0.6, 2: 0.5, 3: 0.4}, params=DROPOUT)
    assert is_due(patient, falls, lambda: regularized)
    assert not is_due(patient, trial(9, {1: 0.6, 2: 0.5}, params=DROPOUT), lambda: regularized)


def test_what_an_audited_trial_did_after_it_was_due_changes_no_judgement() -> None:
    spec = spec_of({"name": "median", "startup_trials": 2, "min_epochs": 1})
    others = [trial(number, {1: 0.5, 2: 0.6, 3: 0.6}, TrialState.COMPLETE) for number in range(2)]
    audited = [
        trial(number, {1: 0.1, 2: 0.1, 3: 0.1}, TrialState.COMPLETE, due=1)
        for number in range(2, 9)
    ]
    own = trial(9, {1: 0.5, 2: 0.55})
    assert is_due(spec, own, lambda: others)
    assert is_due(spec, own, lambda: others + audited)
    rungs = spec_of({"name": "asha", "min_epochs": 3, "reduction_factor": 2})
    own = trial(9, {3: 0.5})
    assert is_due(rungs, own, lambda: others + audited)
    assert not is_due(
        rungs,
        own,
        lambda: [*others, *(trial(n, {3: 0.1}, TrialState.COMPLETE) for n in range(2, 9))],
    )


def test_trials_are_read_at_epochs_that_are_judged_alone() -> None:
    reads: list[int] = []

    def due_after(pruner: Toml, epoch: int) -> bool:
        def read() -> list[FrozenTrial]:
            reads.append(epoch)
            return []

        return is_due(spec_of(pruner), trial(0, dict.fromkeys(range(1, epoch + 1), 0.5)), read)

    pruners: list[Toml] = [
        "none",
        {"name": "asha", "min_epochs": 2, "reduction_factor": 2},
        {"name": "median", "min_epochs": 7},
        {"name": "threshold", "lower": 0.6, "min_epochs": 8},
    ]
    verdicts = {}
    for pruner in pruners:
        reads.clear()
        verdicts[str(pruner)] = (
            [due_after(pruner, epoch) for epoch in range(1, EPOCHS)],
            list(reads),
        )
    assert list(verdicts.values()) == [
        ([False] * 8, []),
        ([False] * 8, [2, 4, 8]),
        ([False] * 8, [7, 8]),
        ([False] * 7 + [True], []),
    ]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_to_audit_is_audited_and_by_study_and_number_alone(share: float) -> None:
    chosen = [
        is_audited(spec_of({"name": "asha", "audit": share}), number) for number in range(2000)
    ]
    deviation = math.sqrt(2000 * share * (1 - share))
    assert abs(sum(chosen) - 2000 * share) <= 3 * deviation
    again = [
        is_audited(spec_of({"name": "median", "audit": share}), number) for number in range(2000)
    ]
    assert chosen == again
    if 0 < share < 1:
        assert chosen != [
            is_audited(spec_of({"name": "asha", "audit": share}, seed=1), n) for n in range(2000)
        ]
