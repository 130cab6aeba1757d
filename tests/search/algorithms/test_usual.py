import json
import random

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.algorithms.samplers import build_sampler, draw
from search.algorithms.usual import adherence, usual_domain, usual_value
from search.space.domains import Choice, Range, Value
from search.space.flat import flat_domains
from search.space.parameters import PARAMETERS
from search.space.search_space import SearchSpace
from search.spec.definition import parse_definition
from search.spec.document import Toml
from search.spec.reading import parse_spec

DRAWS, ADHERENCE = 400, 0.8
USUAL = {
    name: usual
    for parameter in PARAMETERS.values()
    for name in (parameter.name, parameter.switch)
    if (usual := usual_domain(name)) is not None
}


def values(name: str, domain: Choice | Range) -> list[Value]:
    generator = random.Random(0)
    return [usual_value(name, domain, ADHERENCE, generator) for _ in range(DRAWS)]


def test_what_is_usual_lies_in_the_default_space() -> None:
    flat = flat_domains(SearchSpace.default())
    for name, usual in USUAL.items():
        domain = flat.get(name)
        if isinstance(domain, Choice) and isinstance(usual, Choice):
            assert set(usual.options) & set(domain.options), name
        elif isinstance(domain, Range) and isinstance(usual, Range):
            assert domain.low <= usual.low < usual.high <= domain.high, name
        # The other optimizers are not searched by default.
        else:
            assert (domain, name.partition(".")[0] in ("nadam", "radam")) == (None, True), name


def test_most_draws_are_usual_and_the_others_are_any_of_the_domain() -> None:
    choice = Choice(("none", "batch", "layer", "group"))
    drawn = values("normalization", choice)
    assert set(drawn) == set(choice.options)
    assert drawn.count("batch") / DRAWS == pytest.approx(ADHERENCE + (1 - ADHERENCE) / 4, abs=0.08)
    rates = [float(value) for value in values("adam.learning_rate", Range(1e-4, 1e-2, log=True))]
    # The usual rates are log10(4) / 2 of the range.
    share = (1 - ADHERENCE) * 0.301 + ADHERENCE
    assert sum(1e-3 <= rate <= 4e-3 for rate in rates) / DRAWS == pytest.approx(share, abs=0.08)
    assert min(rates) < 3e-4
    assert max(rates) > 8e-3


@pytest.mark.parametrize(("own", "number"), [(0, 0), (2, 0), (2, 2)])
def test_the_first_trial_that_is_drawn_keeps_to_all_that_is_usual(own: int, number: int) -> None:
    flat = flat_domains(SearchSpace.default())
    for seed in range(30):
        values = first_values(
            "usual", number, optuna.create_study(direction="maximize"), seed=seed, own=own
        )
        for name, usual in USUAL.items():
            if isinstance(usual, Choice):
                assert values[name] in usual.options
            elif name in values:
                assert usual.low <= float(values[name]) <= usual.high
        assert values.keys() <= {*flat}
    assert [round(adherence(number, 10), 2) for number in (0, 4, 9)] == [1, 0.8, 0.55]


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("normalization", Choice(("layer", "group"))),
        ("adam.learning_rate", Range(1e-6, 1e-4, log=True)),
        ("adam.learning_rate", Range(3e-3, 1e-1, log=True)),
        ("label_smoothing", Range(0.0, 0.1)),
    ],
)
def test_nothing_is_drawn_that_the_domain_does_not_hold(name: str, domain: Choice | Range) -> None:
    drawn = values(name, domain)
    if isinstance(domain, Choice):
        assert set(drawn) == set(domain.options)
    else:
        assert min(map(float, drawn)) >= domain.low
        assert max(map(float, drawn)) <= domain.high
        assert len(set(drawn)) > DRAWS / 2


def first_values(
    startup: str,
    number: int,
    study: optuna.Study,
    sampler: str = "tpe",
    seed: int = 0,
    own: int = 0,
) -> dict[str, Value]:
    named: Toml = {"name": sampler, "startup": startup, "startup_trials": 3}
    spec = parse_spec(
        {"study": {"sampler": named, "seed": seed}, "trial": [{"batch_size": 32}] * own}
    )
    study.sampler = build_sampler(spec, number)
    running = create_trial(state=TrialState.RUNNING)
    running.number = number
    return draw(spec.space, study, running, {}).values


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_first_trials_are_a_function_of_their_numbers(sampler: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = parse_spec({})
    empty = optuna.create_study(direction="maximize")
    full = optuna.create_study(direction="maximize")
    for number in range(6):
        full.sampler = optuna.samplers.RandomSampler(seed=number)
        running = full.ask()
        draw(spec.space, full, full.trials[-1], {})
        full.tell(running, 0.5)
    for number in range(3):
        found = first_values("usual", number, empty, sampler)
        assert found == first_values("usual", number, full, sampler)
        assert found != first_values("random", number, empty, sampler)
    assert first_values("usual", 0, empty, sampler) != first_values("usual", 1, empty, sampler)


def test_a_study_stored_before_goes_on_to_begin_at_random() -> None:
    spec = parse_spec({"study": {"name": "a"}})
    assert spec.sampler == parse_definition(spec.definition(), "a", spec.budget).sampler
    document = json.loads(spec.definition())
    document["version"] = 2
    del document["study"]["sampler"]["startup"]
    older = parse_definition(json.dumps(document), "a", spec.budget)
    assert older == parse_spec(
        {"study": {"name": "a", "sampler": {"name": "tpe", "startup": "random"}}}
    )


@pytest.mark.parametrize(
    ("trials", "number", "usual"), [(3, 2, True), (3, 3, False), (0, 0, False)]
)
def test_what_comes_after_the_first_trials_is_learnt(trials: int, number: int, usual: bool) -> None:
    spec = parse_spec({"study": {"sampler": {"name": "tpe", "startup_trials": trials}}})
    assert isinstance(build_sampler(spec, number), optuna.samplers.TPESampler) is not usual


def test_without_a_normalization_no_first_rate_diverges_and_all_else_stays() -> None:
    drawn_anew = 0
    for seed in range(150):
        document: dict[str, Toml] = {"study": {"seed": seed}, "data": {"dataset": "cifar10"}}
        spec = parse_spec(document)
        older = json.loads(spec.definition()) | {"version": 4}
        before = parse_definition(json.dumps(older), spec.name, spec.budget)
        for number in range(5):
            now, then = (
                draw(
                    each.space,
                    optuna.create_study(sampler=build_sampler(each, number)),
                    create_trial(state=TrialState.RUNNING),
                    {},
                ).values
                for each in (spec, before)
            )
            steep = then["normalization"] == "none" and (
                then.get("sgd.learning_rate", 0) > 0.02 or then.get("sgd.momentum", 0) > 0.95
            )
            drawn_anew += steep
            assert (now == then) is not steep
            if now["normalization"] == "none" and now["optimizer"] == "sgd":
                assert 0.01 <= now["sgd.learning_rate"] <= 0.02
                assert now["sgd.momentum"] <= 0.95
            same = now.keys() - {"sgd.learning_rate", "sgd.momentum"}
            assert {name: now[name] for name in same} == {name: then[name] for name in same}
    assert drawn_anew >= 5


def test_a_normalization_that_a_first_trial_is_given_counts() -> None:
    given = {"optimizer": "sgd", "normalization": "none"}
    for seed in range(20):
        spec = parse_spec({"study": {"seed": seed}, "trial": [given]})
        study = optuna.create_study(sampler=build_sampler(spec, 0))
        found = draw(spec.space, study, create_trial(state=TrialState.RUNNING), given).values
        assert 0.01 <= found["sgd.learning_rate"] <= 0.02
