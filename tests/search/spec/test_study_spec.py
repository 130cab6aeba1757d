"""A spec is validated as a whole: each fault is one line with file, key, value and mend."""

import json
import tomllib
from pathlib import Path

import pytest

from search.space.configuration import Configuration
from search.space.domains import Choice, Off, Range, Value
from search.space.parameters import PARAMETERS
from search.spec.definition import parse_definition
from search.spec.document import Document, SpecError, Toml
from search.spec.methods import ASHA, RULES, SAMPLERS, Hyperband, Median, Patient, Rule
from search.spec.reading import parse_spec
from search.spec.space_table import domain_to_toml
from search.spec.template import starting_spec
from storage.studies import Budget

MALFORMED = [
    ("[study]\ntrails = 3", "study.trails = 3: unknown key; did you mean 'trials'?"),
    ("[studdy]\ntrials = 3", "studdy = {\"trials\": 3}: unknown key; did you mean 'study'?"),
    (
        "x = 1",
        "x = 1: unknown key; known are constraints, data, model, space, study, training, trial",
    ),
    ("study = 3", "study = 3: must be a table, [study]"),
    ('[study]\nname = "a b"', 'study.name = "a b": use 1 to 64'),
    ('[study]\nname = ""', 'study.name = "": use 1 to 64'),
    ("[study]\nname = 7", "study.name = 7: must be a string"),
    ('[study]\nname = "a:b"', 'study.name = "a:b": use 1 to 64'),
    ("[study]\nseed = -1", "study.seed = -1: must be from 0 to"),
    ("[study]\nseed = 1.5", "study.seed = 1.5: must be a whole number"),
    ("[study]\ntrials = 0", "study.trials = 0: must be 1 or more"),
    ("[study]\ntrials = true", "study.trials = true: must be a whole number"),
    ('[study]\ntrials = "many"', 'study.trials = "many": must be a whole number'),
    ('[study]\nmetric = "acuracy"', "study.metric = \"acuracy\": did you mean 'accuracy'?"),
    ("[study]\nmetric = 1", "study.metric = 1: use one of accuracy"),
    ('[study]\ntimeout = "soon"', 'study.timeout = "soon": write it like "30m", "2h" or "1h30m"'),
    ("[study]\ntimeout = 0", 'study.timeout = 0: write it like "30m", "2h" or "1h30m"'),
    ("[study]\ntarget = nan", "study.target = NaN: give a finite number"),
    ('[study]\ntarget = "high"', 'study.target = "high": must be a number'),
    ('[study]\nsampler = "tpee"', "study.sampler = \"tpee\": did you mean 'tpe'?"),
    ("[study]\nsampler = 3", "study.sampler = 3: must be a name"),
    ('[study]\nsampler = { name = "tpe", warm = 3 }', "study.sampler.warm = 3: unknown key"),
    (
        '[study]\nsampler = { name = "random", startup_trials = 3 }',
        "study.sampler.startup_trials = 3: unknown key",
    ),
    (
        '[study]\nsampler = { name = "tpe", startup_trials = -1 }',
        "study.sampler.startup_trials = -1: must be 0 or more",
    ),
    (
        '[study]\nsampler = { name = "grid", points = 1 }',
        "study.sampler.points = 1: must be from 2 to 1000",
    ),
    (
        '[study]\nsampler = "grid"',
        (
            'study.sampler = "grid": cannot count a range: give lists of values for'
            " sgd.learning_rate, sgd.momentum, "
        ),
    ),
    (
        '[study]\nsampler = "brute_force"',
        'study.sampler = "brute_force": cannot count a range: give lists of values',
    ),
    (
        '[study]\nsampler = "cmaes"',
        'study.sampler = "cmaes": searches ranges that every trial has: pin optimizer, ',
    ),
    ('[study]\npruner = "hyperbandd"', "study.pruner = \"hyperbandd\": did you mean 'hyperband'?"),
    (
        '[study]\npruner = "wilcoxon"',
        (
            'study.pruner = "wilcoxon": use one of none, median, percentile, asha, hyperband,'
            " patient, threshold"
        ),
    ),
    (
        '[study]\npruner = { name = "asha", audit = 1.5 }',
        "study.pruner.audit = 1.5: must be 0 <= value <= 1",
    ),
    ('[study]\npruner = { name = "none", audit = 0.5 }', "study.pruner.audit = 0.5: unknown key"),
    (
        '[study]\npruner = { name = "asha", like_with_like = 1 }',
        "like_with_like = 1: must be true or false",
    ),
    (
        '[study]\npruner = { name = "percentile", percentile = 0 }',
        "percentile = 0: must be 0 < value < 100",
    ),
    (
        '[study]\npruner = "threshold"',
        'study.pruner.name = "threshold": needs lower, the value beyond which',
    ),
    (
        '[study]\nmetric = "loss"\npruner = { name = "threshold", lower = 0.1, upper = 1 }',
        "study.pruner.lower = 0.1: would stop the best trials: this metric needs upper",
    ),
    (
        '[study]\npruner = { name = "patient", of = "patient" }',
        'study.pruner.of = "patient": use one of median, percentile, asha, hyperband, threshold',
    ),
    (
        '[study]\npruner = { name = "patient", of = { name = "asha", audit = 0.5 } }',
        "study.pruner.of.audit = 0.5: unknown key",
    ),
    (
        '[study]\npruner = { name = "asha", reduction_factor = 1 }',
        "study.pruner.reduction_factor = 1: must be 2 or more",
    ),
    (
        '[study]\npruner = { name = "asha", min_epochs = 0 }',
        "study.pruner.min_epochs = 0: must be 1 or more",
    ),
    ('[data]\ndataset = "mnist5k"', "data.dataset = \"mnist5k\": did you mean 'mnist-5k'?"),
    ('[data]\ndataset = "images:"', 'data.dataset = "images:": name the folder'),
    ("[data]\nvalidation_fraction = 1.0", "data.validation_fraction = 1.0: must be 0 < value < 1"),
    (
        "[data]\nvalidation_fraction = inf",
        "data.validation_fraction = Infinity: give a finite number",
    ),
    ("[data]\nfolds = 1", "data.folds = 1: must be from 2 to 100"),
    ("[data]\nfolds = 5.0", "data.folds = 5.0: must be a whole number"),
    (
        "[data]\nfolds = 5\nvalidation_fraction = 0.25",
        "data.validation_fraction = 0.25: data.folds = 5 says what validation takes: leave one of"
        " the two out",
    ),
    ("[data]\nimage_size = 28", "data.image_size = 28: goes with images:FOLDER alone"),
    ('[data]\nsplit_seed = "a"', 'data.split_seed = "a": must be a whole number'),
    (
        "[data]\nsplit_version = 2",
        "data.split_version = 2: goes with images:FOLDER alone: leave it out",
    ),
    ("[data]\ngroups = '(a)'", 'data.groups = "(a)": goes with images:FOLDER alone: leave it out'),
    (
        '[data]\ndataset = "images:x"\nsplit_version = 3',
        "data.split_version = 3: must be from 1 to 2",
    ),
    (
        '[data]\ndataset = "images:x"\nsplit_version = 1\ngroups = "(a)"',
        "data.split_version = 1: knows no groups: leave it out, or groups",
    ),
    (
        '[data]\ndataset = "images:x"\ngroups = "patient"',
        (
            "data.groups = \"patient\": must hold a group in brackets, as 'patient_([0-9]+)', or"
            " name a CSV of path and group"
        ),
    ),
    (
        '[data]\ndataset = "images:x"\ngroups = "("',
        (
            'data.groups = "(": is no regular expression (missing ), unterminated subpattern at'
            " position 0)"
        ),
    ),
    ('[data]\ndataset = "images:x"\ngroups = 3', "data.groups = 3: must be a string"),
    ("[training]\nepochs = 0", "training.epochs = 0: must be 1 or more"),
    (
        '[training]\nprecision = "half"',
        'training.precision = "half": use one of float32, tf32, bf16',
    ),
    (
        '[training]\ndecay_scope = "weight"',
        "training.decay_scope = \"weight\": did you mean 'weights'?",
    ),
    ("[model]\nchannels = []", "model.channels = []: must be a list of whole numbers of 1 or more"),
    ("[model]\nchannels = [16, 0]", "model.channels = [16, 0]: must be a list"),
    ("[model]\nhidden_units = 0", "model.hidden_units = 0: must be 1 or more"),
    ('[space]\noptimizer = ["sgdd"]', "space.optimizer = \"sgdd\": did you mean 'sgd'?"),
    ("[space]\noptimizer = []", "space.optimizer = []: name at least one value"),
    ("[space]\noptimizer = false", "space.optimizer = false: cannot be off"),
    ("[space]\noptimizer = { low = 1, high = 2 }", "is no number: give a list of sgd"),
    ('[space]\noptimizer = ["sgd", "sgd"]', "a value stands there twice"),
    ('[space]\n"sgd.learning_rte" = 0.1', "did you mean 'sgd.learning_rate'?"),
    (
        '[space]\n"sgd.learning_rate" = { low = 0.0, high = 1.0, log = true }',
        "log needs low above 0",
    ),
    ('[space]\n"sgd.learning_rate" = { low = 0.1 }', "has no high: a range needs low and high"),
    ('[space]\n"sgd.learning_rate" = { low = 0.1, high = 1.0, optional = true }', "cannot be off"),
    (
        '[space]\n"sgd.learning_rate" = { low = 0.1, hihg = 1.0, high = 2 }',
        "hihg = 1.0: unknown key",
    ),
    (
        '[space]\n"sgd.learning_rate" = { low = 0.1, high = 1.0, log = 1 }',
        "log = 1: must be true or false",
    ),
    ('[space]\n"sgd.learning_rate" = 0.0', "must be 0 < value"),
    ('[space]\n"sgd.momentum" = { low = 0.5, high = 1.0 }', "must be 0 <= value < 1"),
    ("[space]\ndropout = { low = 0.5, high = 0.1 }", "low is above high: swap them"),
    ("[space]\ndropout = nan", "space.dropout = NaN: give a finite number"),
    ('[space]\ndropout = "much"', 'space.dropout = "much": give a number'),
    ("[space]\nbatch_size = 7.5", "space.batch_size = 7.5: give a whole number"),
    ("[space]\nbatch_size = 4", "space.batch_size = 4: must be 8 <= value"),
    ("[space]\nweight_decay = 0.1", "space.weight_decay = 0.1: only false goes here"),
    (
        '[space]\naugmentation = "shift+flop"',
        "space.augmentation = \"shift+flop\": use none, or names joined by '+': shift, "
        "random_resized_crop, flip",
    ),
    (
        '[space]\naugmentation = ["none", "flip+crop"]',
        "space.augmentation = \"crop+flip\": is called 'random_resized_crop+flip' now: name it so",
    ),
    (
        '[space]\naugmentation = "erase"',
        "space.augmentation = \"erase\": is called 'random_erasing' now: name it so",
    ),
    ('[space]\n"sgd.nesterov" = 1', "sgd.nesterov = [1]: give true, false, or [false, true]"),
    ('[space]\n"sgd.nesterov" = [true, true]', "give true, false, or [false, true]"),
    (
        '[space]\n"sgd.nesterov" = { low = 0, high = 1 }',
        "is no number: give true, false, or [false, true]",
    ),
    ('[space]\n"adam.beta1" = 1.0', "must be 0 <= value < 1"),
    ('[space]\n"multistep.first" = 1.0', "must be 0 < value < 1"),
    ("[space]\nlabel_smoothing = 1.0", "must be 0 <= value < 1"),
    ("[space]\nwidth = 0.0", "must be 0 < value"),
    (
        '[[trial]]\nscheduler = "cosine"\nwarmup = 0.1',
        "trial[0].warmup = 0.1: is not in the [space]",
    ),
    (
        '[space]\nwarmup = [false, 0.1]\n[[trial]]\nscheduler = "onecycle"\nwarmup = 0.1',
        "trial[0].warmup = 0.1: exists only under scheduler = one that is not onecycle",
    ),
    (
        '[data]\ndataset = "images:x"\nresize = "padd"',
        "data.resize = \"padd\": did you mean 'pad'?",
    ),
    ('[data]\nresize = "pad"', 'data.resize = "pad": goes with images:FOLDER alone: leave it out'),
    (
        '[data]\nlabels = "a.csv"',
        'data.labels = "a.csv": goes with images:FOLDER alone: leave it out',
    ),
    ('[data]\ndataset = "images:x"\nlabels = ""', 'data.labels = "": name a CSV in the folder'),
    (
        '[data]\ndataset = "images:x"\nlabels = "a.csv"\nsplit_version = 1',
        "data.split_version = 1: knows no labels: leave it out, or labels",
    ),
    ("trial = 3", "trial = 3: must be tables, each headed [[trial]]"),
    (
        '[[trial]]\n"sgd.momentum" = 0.5',
        "trial[0].sgd.momentum = 0.5: exists only under optimizer = 'sgd'",
    ),
    ("[[trial]]\ndropout = 0.9", "trial[0].dropout = 0.9: is not in the [space] of this study"),
    (
        '[[trial]]\nopimizer = "sgd"',
        "trial[0].opimizer = \"sgd\": unknown key; did you mean 'optimizer'?",
    ),
]


@pytest.mark.parametrize(("text", "expected"), MALFORMED)
def test_a_malformed_spec_is_one_line_with_file_key_value_and_mend(
    text: str, expected: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(tomllib.loads(text), "a.toml")
    message = str(caught.value)
    assert message.count("\n") == 0
    assert message.startswith("a.toml: ")
    assert expected in message


def test_every_fault_of_a_spec_is_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(
            tomllib.loads("[study]\ntrials = 0\n[training]\nepochs = 0\n[space]\nl1 = -1"), "a.toml"
        )
    assert sorted(caught.value.faults) == [
        "space.l1 = -1: must be 0 <= value",
        "study.trials = 0: must be 1 or more",
        "training.epochs = 0: must be 1 or more",
    ]


def test_what_a_spec_says_is_what_the_space_holds() -> None:
    spec = parse_spec(
        tomllib.loads("""
            [space]
            optimizer = ["sgd", "adam"]
            sgd.momentum = 0.9
            l1 = false
            dropout = [false, 0.2]
            weight_decay = false
            augmentation = "rotate+shift"
            "adam.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
            """)
    )
    domains = {
        name: spec.space.domain(name)
        for name in ("optimizer", "sgd.momentum", "l1", "dropout", "augmentation")
    }
    assert domains == {
        "optimizer": Choice(("sgd", "adam")),
        "sgd.momentum": Choice((0.9,)),
        "l1": Off(),
        "dropout": Choice((0.2,), optional=True),
        "augmentation": Choice(("shift+rotate",)),
    }
    assert spec.space.domain("adam.learning_rate") == Range(1e-4, 1e-2, log=True)
    assert all(
        isinstance(spec.space.domain(f"{name}.weight_decay"), Off)
        for name in ("sgd", "adam", "adamw")
    )


def test_a_stored_definition_gives_the_same_spec_back() -> None:
    text = (
        '[study]\nname = "a"\ntimeout = "1h30m"\ntarget = 0.9\n[[trial]]\noptimizer ='
        ' "sgd"\ndropout = false'
    )
    spec = parse_spec(tomllib.loads(text))
    assert parse_definition(spec.definition(), spec.name, spec.budget) == spec
    assert spec.budget.timeout_seconds == 5400


METHODS: list[Toml] = [
    *SAMPLERS,
    {"name": "tpe", "startup_trials": 3},
    {"name": "gp", "startup_trials": 3},
    {"name": "grid", "points": 4},
]
PRUNERS: list[Toml] = [
    *(name for name in RULES if name != "threshold"),
    {"name": "asha", "min_epochs": 3, "reduction_factor": 2, "audit": 0, "like_with_like": False},
    {"name": "percentile", "percentile": 60, "startup_trials": 9, "min_epochs": 1, "audit": 0.5},
    {"name": "hyperband", "min_epochs": 2, "reduction_factor": 4},
    {"name": "threshold", "lower": 0.5, "min_epochs": 2, "audit": 1.0},
    {"name": "patient", "patience": 3, "of": {"name": "asha", "min_epochs": 1}},
    {"name": "patient", "of": {"name": "threshold", "lower": 0.5}},
]


@pytest.mark.parametrize(
    ("key", "method"), [*(("sampler", each) for each in METHODS), *(("pruner", p) for p in PRUNERS)]
)
def test_every_sampler_and_pruner_is_stored_with_its_options(key: str, method: Toml) -> None:
    space: Document = {}
    for name, parameter in PARAMETERS.items():
        default = parameter.default
        pinned = default.options[0] if isinstance(default, Choice) else getattr(default, "low", 0)
        space[name] = (
            False
            if parameter.off is not None
            else parameter.options[0]
            if parameter.options
            else pinned
        )
    space["sgd.learning_rate"] = (
        {"low": 0.001, "high": 0.01} if method == "cmaes" else [0.001, 0.01]
    )
    spec = parse_spec({"study": {key: method}, "space": space})
    assert parse_definition(spec.definition(), spec.name, spec.budget) == spec
    shown = spec.to_document()["study"]
    assert isinstance(shown, dict)
    stored = shown[key]
    assert isinstance(stored, dict)
    assert stored["name"] == (method["name"] if isinstance(method, dict) else method)
    if isinstance(method, dict):
        assert {name: stored[name] for name in method if name != "of"} == {
            n: v for n, v in method.items() if n != "of"
        }


def test_a_stored_pruner_without_the_newer_keys_is_read_with_their_defaults() -> None:
    spec = parse_spec({"study": {"name": "a"}})
    document = json.loads(spec.definition())
    del document["study"]["pruner"]["audit"], document["study"]["pruner"]["like_with_like"]
    assert parse_definition(json.dumps(document), spec.name, spec.budget) == spec


def test_the_first_judgement_is_after_a_part_of_the_run() -> None:
    def rule(pruner: Toml, epochs: int) -> Rule:
        return parse_spec({"study": {"pruner": pruner}, "training": {"epochs": epochs}}).pruner.rule

    assert rule("asha", 20) == ASHA(min_epochs=2)
    assert rule("asha", 50) == ASHA(min_epochs=6)
    assert rule("median", 20) == Median(min_epochs=5)
    assert rule("hyperband", 20) == Hyperband(min_epochs=1)
    assert rule("patient", 20) == Patient(patience=5, of=Median(min_epochs=5))
    assert rule({"name": "patient", "of": "asha"}, 2) == Patient(patience=1, of=ASHA(min_epochs=1))


def test_the_budget_is_no_part_of_the_definition() -> None:
    hashes = {
        parse_spec({"study": study}).definition_hash()
        for study in ({"trials": 3}, {"trials": 4, "target": 0.9})
    }
    assert len(hashes) == 1
    assert parse_spec({"study": {"seed": 1}}).definition_hash() not in hashes


def test_the_starting_spec_is_the_default_study() -> None:
    spec = parse_spec(tomllib.loads(starting_spec()))
    assert spec == parse_spec({"study": {"name": "my-study"}})


def test_a_definition_with_former_names_of_augmentations_goes_on_under_them() -> None:
    text = (
        '{"data": {"dataset": "cifar10"}, "space": {"augmentation": ["none", "crop+flip+erase"]}}'
    )
    stored = parse_spec(json.loads(text), stored=True)
    again = parse_definition(stored.definition(), "old", stored.budget)
    assert again.space.domain("augmentation") == Choice(("none", "crop+flip+erase"))
    assert "augmentation.strength" in again.space.suggest(last_of_each)
    hyperparameters = Configuration(again.space.suggest(last_of_each)).hyperparameters()
    assert hyperparameters.augmentation is not None
    assert hyperparameters.augmentation.operations == (
        "random_resized_crop",
        "flip",
        "random_erasing",
    )


def last_of_each(name: str, domain: Choice | Range) -> Value:
    return domain.options[-1] if isinstance(domain, Choice) else domain.low


def test_a_definition_of_the_first_version_searches_what_it_did() -> None:
    """What came later takes no part, whatever its default; what is asked for anew in the same words
    is that study.
    """
    text = (Path(__file__).parent / "data" / "definition-1.json").read_text()
    spec = parse_definition(text, "older", Budget(trials=40))
    stored = json.loads(text)["space"]
    assert {
        name for name, domain in spec.space.domains if name not in stored and domain != Off()
    } == NEWER_BRANCHES
    assert {name: domain_to_toml(spec.space.domain(name)) for name in stored} == stored
    assert spec.space.domain("optimizer") == Choice(("sgd", "adagrad", "rmsprop", "adam", "adamw"))
    assert (spec.pruner.audit, spec.pruner.like_with_like) == (0.0, False)
    again = parse_definition(spec.definition(), "older", Budget(trials=40))
    assert again == spec


# Parameters without a neutral value: they exist under options alone that an older study does not
# have.
NEWER_BRANCHES = {
    *("nadam.learning_rate", "radam.learning_rate"),
    *("multistep.first", "multistep.second", "multistep.factor"),
    *("plateau.patience", "plateau.factor", "onecycle.rise"),
    "class_weights.beta",
}


@pytest.mark.parametrize(
    ("dataset", "flips"),
    [("mnist-5k", False), ("fashion-mnist", True), ("cifar10", True), ("images:x", True)],
)
def test_the_default_augmentations_fit_the_data_set(dataset: str, flips: bool) -> None:
    options = parse_spec({"data": {"dataset": dataset}}).space.domain("augmentation")
    assert isinstance(options, Choice)
    assert options.options[0] == "none"
    assert any("flip" in str(option).split("+") for option in options.options) == flips
    assert not any("vertical_flip" in str(option) for option in options.options)


def test_a_switch_is_off_on_or_searched() -> None:
    def domain(value: object) -> object:
        return parse_spec(tomllib.loads(f'[space]\n"sgd.nesterov" = {value}')).space.domain(
            "sgd.nesterov"
        )

    assert domain("false") == Off()
    assert domain("true") == Choice((True,))
    assert domain("[false, true]") == Choice((False, True))
    spec = parse_spec(
        tomllib.loads(
            '[space]\n"sgd.nesterov" = [false, true]\n[[trial]]\n"sgd.nesterov" = false\noptimizer'
            ' = "sgd"'
        )
    )
    assert dict(spec.first_trials[0])["sgd.nesterov"] is False
    assert parse_spec(spec.to_document()) == spec


def test_a_folder_is_split_by_contents_unless_its_definition_is_older() -> None:
    spec = parse_spec({"data": {"dataset": "images:x"}})
    assert spec.data.split_version == 2
    assert parse_spec({"data": {"dataset": "images:x", "split_version": 1}}).data.split_version == 1
    assert parse_spec({}).data.split_version == 1
    older = json.loads(spec.definition())
    del older["data"]["split_version"]
    assert (
        parse_definition(
            json.dumps(older | {"version": 3}), "x", Budget(trials=1)
        ).data.split_version
        == 1
    )
    others: list[dict[str, Toml]] = [
        {"groups": "(a+)_"},
        {"resize": "pad"},
        {"labels": "labels.csv"},
    ]
    for each in (spec, *(parse_spec({"data": {"dataset": "images:x", **data}}) for data in others)):
        assert parse_definition(each.definition(), each.name, each.budget) == each


def test_folds_are_stored_in_place_of_a_share() -> None:
    for data in ({}, {"dataset": "images:x"}, {"validation_fraction": 0.2}):
        spec = parse_spec({"data": {**data, "folds": 4}})
        assert spec.data.folds == 4
        stored = json.loads(spec.definition())["data"]
        assert stored["folds"] == 4
        assert "validation_fraction" not in stored
        assert parse_definition(spec.definition(), spec.name, spec.budget) == spec
        assert parse_spec(spec.to_document()) == spec


def test_what_came_later_is_stored_where_it_is_not_the_default_alone() -> None:
    plain = parse_spec({"data": {"dataset": "images:x"}})
    named = parse_spec({"data": {"dataset": "images:x", "resize": "crop"}})
    assert named.definition() == plain.definition()
    assert json.loads(plain.definition())["data"] == {
        "dataset": "images:x",
        "validation_fraction": 0.2,
        "split_seed": 0,
        "split_version": 2,
    }
    space = json.loads(plain.definition())["space"]
    assert not {"class_weights", "class_weights.beta", "balanced_sampling"} & space.keys()
    searched: Document = {
        "class_weights": ["none", "effective_number"],
        "class_weights.beta": [0.9, 0.999],
        "balanced_sampling": {"low": 0.2, "high": 1.0, "log": False, "optional": True},
    }
    spec = parse_spec({"space": searched})
    stored = json.loads(spec.definition())["space"]
    assert {name: stored[name] for name in searched} == searched
    assert parse_definition(spec.definition(), spec.name, spec.budget) == spec
