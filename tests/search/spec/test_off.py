"""What is off is off however it is spelt: false, a switch, or the neutral value."""

import json
import random
import sqlite3
import tomllib
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

import hypersearch
from objectives.hyperparameters import SGD
from search.algorithms.samplers import build_sampler, draw
from search.algorithms.usual import usual_value
from search.analysis.effects import observed_effects, technique_value
from search.analysis.importance import importances
from search.report.values import brief
from search.space.configuration import Configuration, spelt_once
from search.space.domains import Choice, Off, Range, Value
from search.space.flat import flat_domains
from search.space.parameters import PARAMETERS, TECHNIQUES, is_on, neutral_value
from search.spec.definition import parse_definition
from search.spec.document import SpecError, Toml
from search.spec.enumeration import Enumeration
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.joining import create_or_join
from storage.direction import Direction
from storage.records import ParameterValue, TrialRecord

PLAIN: dict[str, ParameterValue] = {"optimizer": "sgd", "sgd.learning_rate": 0.1, "batch_size": 64}


def spec_of(text: str, *, stored: bool = False) -> StudySpec:
    return parse_spec(tomllib.loads(text), "a.toml", stored=stored)


def refused(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        spec_of(text)
    return str(caught.value)


def record(number: int, parameters: dict[str, ParameterValue], value: float = 0.5) -> TrialRecord:
    return TrialRecord(
        number, "complete", value, (), PLAIN | parameters, (), 1, "cpu", 1, None, 0, 1
    )


def test_the_neutral_value_of_every_technique_is_off() -> None:
    neutral = {technique: neutral_value(technique) for technique in TECHNIQUES}
    assert neutral == {
        **dict.fromkeys(("optimizer", "batch_size")),
        **dict.fromkeys(
            ("weight_decay", "warmup", "l1", "dropout", "label_smoothing", "gradient_clipping"), 0.0
        ),
        "class_weights": "none",
        "balanced_sampling": 0.0,
        "scheduler": "constant",
        "augmentation": "none",
        "initializer": "default",
        "input_normalization": "none",
        "normalization": "none",
        "width": 1.0,
        "depth": 0,
        "block": "model",
        "head": "model",
    }
    for name, parameter in PARAMETERS.items():
        assert not is_on(name, None)
        assert not is_on(name, False)
        assert parameter.off is None or not is_on(name, parameter.off)
    on = {
        "dropout": 0.1,
        "sgd.momentum": 0.9,
        "sgd.nesterov": True,
        "width": 0.5,
        "augmentation": "flip",
        "warmup": 0.1,
    }
    assert all(is_on(name, value) for name, value in on.items())
    assert Configuration(
        {"optimizer": "sgd", "batch_size": 64, "sgd.learning_rate": 0.1}
    ).hyperparameters().optimizer == SGD(0.1)


@pytest.mark.parametrize(
    ("technique", "off", "on"),
    [
        ("dropout", {"dropout": 0.0}, {"dropout": 0.25}),
        ("dropout", {"dropout": 0}, {"dropout.on": True, "dropout": 0.25}),
        ("dropout", {"dropout.on": True, "dropout": 0.0}, {"dropout": 1e-9}),
        ("dropout", {"dropout.on": False}, {"dropout": 0.25}),
        ("l1", {"l1": 0.0}, {"l1": 1e-6}),
        ("weight_decay", {"sgd.weight_decay": 0.0}, {"sgd.weight_decay": 1e-4}),
        ("label_smoothing", {"label_smoothing": 0.0}, {"label_smoothing": 0.1}),
        ("gradient_clipping", {"gradient_clipping": 0.0}, {"gradient_clipping": 1.0}),
        ("warmup", {"scheduler": "cosine", "warmup": 0.0}, {"scheduler": "cosine", "warmup": 0.1}),
        ("width", {"width": 1.0}, {"width": 0.5}),
    ],
)
def test_a_strength_at_its_neutral_value_did_what_one_that_is_off_does(
    technique: str, off: dict[str, ParameterValue], on: dict[str, ParameterValue]
) -> None:
    assert [technique_value(technique, PLAIN | values) for values in ({}, off, on)] == [
        "off",
        "off",
        "on",
    ]
    effects = observed_effects(
        [record(0, {}, 0.2), record(1, off, 0.4), record(2, on, 0.6)], Direction.UP
    )
    found = [
        (each.value, each.complete, each.best) for each in effects if each.technique == technique
    ]
    assert found == [("off", 2, 0.4), ("on", 1, 0.6)]
    assert not [
        each
        for each in observed_effects([record(0, {}), record(1, off)], Direction.UP)
        if each.value == "on"
    ]


def test_what_is_off_is_no_key_parameter_of_a_running_trial() -> None:
    values: dict[str, Value] = {
        "optimizer": "sgd",
        "sgd.momentum": 0.0,
        "dropout": 0.0,
        "width": 1.0,
        "l1": 1e-5,
    }
    assert (
        brief(values | {"scheduler": "constant", "sgd.nesterov": False, "theirs": 3})
        == "optimizer sgd, l1 1e-05, theirs 3"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "dropout = [false, 0.0, 0.25]",
            "dropout = [false, 0.0, 0.25]: a value stands there twice, as 0.0 is off",
        ),
        (
            "dropout = [false, 0]",
            "dropout = [false, 0.0]: a value stands there twice, as 0.0 is off",
        ),
        ("width = [1.0, false]", "width = [false, 1.0]: a value stands there twice, as 1.0 is off"),
        (
            '"rmsprop.alpha" = [false, 0.99]',
            "rmsprop.alpha = [false, 0.99]: a value stands there twice, as 0.99 is",
        ),
        (
            '"sgd.momentum" = [0.0, 0.9, false]',
            "sgd.momentum = [false, 0.0, 0.9]: a value stands there twice, as 0.0",
        ),
        (
            "l1 = { low = 0.0, high = 0.0, optional = true }",
            (
                'l1 = {"low": 0.0, "high": 0.0, "log": false, "optional": true}: a value stands'
                " there twice, as 0.0 is off"
            ),
        ),
    ],
)
def test_a_domain_that_names_off_twice_is_refused_in_one_line(value: str, said: str) -> None:
    message = refused(f"[space]\n{value}")
    assert message.startswith(f"a.toml: space.{said}")
    assert message.endswith(": leave one out" if "low" not in value else ": leave optional out")
    assert message.count("\n") == 0


def test_a_grid_with_points_of_off_beside_off_is_refused_and_a_drawn_range_is_not() -> None:
    text = (
        '[study]\nsampler = "{}"\n[space]\ndropout = {{ low = 0.0, high = 0.5, optional = true }}'
    )
    assert spec_of(text.format("tpe")).space.domain("dropout") == Range(0.0, 0.5, optional=True)
    grid = text.format("grid").replace('"grid"', '{ name = "grid", points = 3 }')
    assert refused(grid).endswith("a value stands there twice, as 0.0 is off: leave optional out")
    assert spec_of(grid.replace("low = 0.0", "low = 0.1")).space.domain("dropout") == Range(
        0.1, 0.5, optional=True
    )
    width = grid.replace("dropout = { low = 0.0, high = 0.5", "width = { low = 0.5, high = 1.5")
    assert refused(width).endswith("a value stands there twice, as 1.0 is off: leave optional out")


@pytest.mark.parametrize(
    ("domain", "value", "held"),
    [
        ("dropout = { low = 0.05, high = 0.3, optional = true }", "dropout = 0.0", False),
        ("dropout = [false, 0.25]", "dropout = 0", False),
        ("dropout = false", "dropout = 0.0", False),
        ("dropout = [0.0, 0.25]", "dropout = false", 0.0),
        ("dropout = { low = 0.0, high = 0.3 }", "dropout = false", 0.0),
        ("dropout = [0.0, 0.25]", "dropout = 0.0", 0.0),
        ("width = [0.5, 1.0]", "width = false", 1.0),
        ("width = false", "width = 1.0", False),
        ('optimizer = "sgd"\n"sgd.momentum" = [0.0, 0.9]', '"sgd.momentum" = false', 0.0),
        ('optimizer = "sgd"\n"sgd.nesterov" = [false, true]', '"sgd.nesterov" = false', False),
        ('optimizer = "sgd"\n"sgd.nesterov" = false', '"sgd.nesterov" = false', False),
    ],
)
def test_a_configuration_to_run_first_may_spell_off_as_it_likes(
    domain: str, value: str, held: Value
) -> None:
    spec = spec_of(f"[space]\n{domain}\n[[trial]]\n{value}")
    ((_, found),) = spec.first_trials[0]
    assert (found, type(found)) == (held, type(held))
    assert parse_definition(spec.definition(), spec.name, spec.budget) == spec


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        ("dropout = { low = 0.05, high = 0.3 }", "dropout = 0.0"),
        ("dropout = 0.25", "dropout = false"),
        ("dropout = [false, 0.25]", "dropout = 0.1"),
        ("width = [0.5, 2.0]", "width = 1.0"),
        ('optimizer = "sgd"\n"sgd.nesterov" = true', '"sgd.nesterov" = false'),
    ],
)
def test_off_is_no_configuration_where_the_space_has_no_off(domain: str, value: str) -> None:
    assert "is not in the [space] of this study" in refused(
        f"[space]\n{domain}\n[[trial]]\n{value}"
    )


def test_what_is_usually_off_is_drawn_off_also_where_it_has_no_switch() -> None:
    def drawn(name: str, domain: Choice | Range) -> Value:
        return usual_value(name, domain, 1.0, random.Random(3))

    assert [drawn("dropout", Choice((0.25, 0.5, 0.0))), drawn("l1", Range(0.0, 1e-3))] == [0.0, 0.0]
    assert drawn("dropout", Choice((0.25, 0.5))) in (0.25, 0.5)
    assert float(drawn("dropout", Range(0.1, 0.5))) >= 0.1
    # Nothing of this range is usual.
    assert float(drawn("label_smoothing", Range(0.0, 0.5))) > 0.0


OLD_SPACE: dict[str, Toml] = {"dropout": [False, 0.0, 0.25], "l1": [0.0, 1e-4, 1e-5]}


def old_spec(version: int, sampler: Toml) -> StudySpec:
    """Of a definition that was stored when this could be said."""
    spec = parse_spec(
        {"study": {"name": "old", "sampler": sampler}, "space": {**OLD_SPACE}}, stored=True
    )
    document = json.loads(spec.definition()) | {"version": version}
    return parse_definition(json.dumps(document), "old", spec.budget)


def first_draw(spec: StudySpec) -> dict[str, Value]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=build_sampler(spec, 0))
    running = create_trial(state=TrialState.RUNNING)
    running.number = 0
    return draw(spec.space, study, running, {}).values


@pytest.mark.parametrize("version", [2, 3])
def test_a_stored_definition_that_names_off_twice_gives_the_trials_that_it_gave(
    version: int,
) -> None:
    spec = old_spec(version, {"name": "tpe", "startup": "usual"})
    assert spec.space.domain("dropout") == Choice((0.0, 0.25), optional=True)
    values = first_draw(spec)
    generator, flat = random.Random(0), flat_domains(spec.space)
    assert values.keys() >= {"dropout.on", "l1"}
    # Its strengths without a switch are drawn as any other value.
    drawn = [
        usual_value("l1", Choice((0.0, 1e-4, 1e-5)), 1.0, generator, by_switch=True)
        for _ in range(60)
    ]
    assert set(drawn) == {0.0, 1e-4, 1e-5}
    firsts = {first_draw(replace(spec, seed=seed))["l1"] for seed in range(12)}
    assert firsts == {0.0, 1e-4, 1e-5}
    assert {first_draw(replace(spec, seed=seed, version=4))["l1"] for seed in range(12)} == {0.0}
    assert flat["dropout"] == Choice((0.0, 0.25), optional=True)


def test_a_stored_enumeration_that_names_off_twice_counts_as_it_did() -> None:
    spec = old_spec(3, {"name": "grid", "points": 2})
    pinned = [(name, domain) for name, domain in spec.space.domains if name in ("dropout", "l1")]
    every = Enumeration(replace(spec.space, domains=tuple(pinned)))
    assert [every.at(index).get("dropout", "off") for index in range(every.size)] == [
        "off",
        0.0,
        0.25,
    ] * 3


def test_a_study_that_was_stored_so_is_joined_by_its_file_and_raised(tmp_path: Path) -> None:
    url, space = f"sqlite:///{tmp_path}/a.db", {"dropout": [False, 0.0, 0.25]}
    document: dict[str, Toml] = {
        "study": {"name": "a", "trials": 1},
        "data": {"dataset": "synthetic"},
    }
    create_or_join(url, Request(document, {}, "a.toml"))
    stored = parse_spec({**document, "space": {**space}}, stored=True)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        row = (stored.definition().replace('"version":4', '"version":3'), stored.definition_hash())
        connection.execute("UPDATE hypersearch_study SET definition = ?, definition_hash = ?", row)
    joined = create_or_join(url, Request({**document, "space": {**space}}, {}, "a.toml"))
    assert joined.spec.space.domain("dropout") == Choice((0.0, 0.25), optional=True)
    assert (
        create_or_join(
            url, Request(None, {"study": {"name": "a", "trials": 2}}, "-")
        ).stored.budget.trials
        == 2
    )
    assert hypersearch.run(stored, storage=url).record.finished == 2
    with pytest.raises(SpecError, match="stands there twice"):
        create_or_join(
            url, Request({**document, "space": {**space}}, {"study": {"name": "b"}}, "a.toml")
        )


def test_importances_know_off_in_either_spelling_as_one() -> None:
    space = parse_spec({"space": {**OLD_SPACE}}, stored=True).space
    generator = random.Random(0)
    strengths: list[dict[str, ParameterValue]] = [
        {"dropout.on": False},
        {"dropout.on": True, "dropout": 0.0},
        {"dropout.on": True, "dropout": 0.25},
    ]
    trials = []
    for number in range(90):
        values = strengths[number % 3] | {"l1": generator.choice((0.0, 1e-4, 1e-5))}
        trials.append(
            record(number, values, (0.9 if number % 3 == 2 else 0.5) + generator.gauss(0, 0.01))
        )
    switched = [replace(trial, parameters=spelt_once(trial.parameters)) for trial in trials]
    assert [trial.parameters.get("dropout.on") for trial in switched[:3]] == [False, False, True]
    assert "dropout" not in switched[1].parameters
    found = importances(trials, space, Direction.UP)
    assert found is not None
    assert found == importances(switched, space, Direction.UP)
    assert found.shares[0][0] == "dropout"


def test_off_is_pinned_in_the_space_as_before() -> None:
    assert spec_of("[space]\ndropout = 0.0").space.domain("dropout") == Choice((0.0,))
    assert spec_of('[space]\n"sgd.momentum" = false').space.domain("sgd.momentum") == Off()
