"""What can never hold is refused of a new spec, and what may not have been meant is told."""

import itertools
import json
import sqlite3
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

import hypersearch
from objectives.data.config import DataConfig
from objectives.data.images import open_dataset
from objectives.data.published import _SETS
from objectives.names import DATASETS, SHAPES
from search.algorithms.pruners import RULES, JudgedStudy, TrialCurve
from search.analysis.status import list_studies
from search.cli.main import main
from search.spec.definition import parse_definition
from search.spec.document import Document, SpecError
from search.spec.methods import ASHA, Hyperband, Median, Patient, Rule, Threshold
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.spec.vain import notices, said_in_vain
from search.studies.joining import create_or_join
from storage.engine import open_database


def spec_of(text: str, *, stored: bool = False) -> StudySpec:
    return parse_spec(tomllib.loads(text), "a.toml", stored=stored)


SMALL = '[space]\nwidth = [0.5, 2.0]\nnormalization = ["batch", "layer"]\n'
VAIN = [
    ("[study]\ntarget = 95", "study.target = 95: accuracy is a share: write 0.95"),
    ("[study]\ntarget = 99.5", "study.target = 99.5: accuracy is a share: write 0.995"),
    ("[study]\ntarget = 1.01", "study.target = 1.01: accuracy is a share: give one from 0 to 1"),
    ("[study]\ntarget = -0.5", "study.target = -0.5: accuracy is a share: give one from 0 to 1"),
    (
        '[study]\nmetric = "macro_f1"\ntarget = 90',
        "study.target = 90: macro_f1 is a share: write 0.9",
    ),
    (
        '[study]\nmetric = "balanced_accuracy"\ntarget = 1000',
        "study.target = 1000: balanced_accuracy is a share: give one from 0 to 1",
    ),
    (
        '[study]\nmetric = "loss"\ntarget = -1',
        "study.target = -1: a loss is never below 0: give 0 or more",
    ),
    (
        '[study]\npruner = { name = "threshold", lower = 50 }',
        "study.pruner.lower = 50: every trial would be stopped: accuracy is a share: write 0.5",
    ),
    (
        '[study]\npruner = { name = "patient", of = { name = "threshold", lower = 50 } }',
        "study.pruner.of.lower = 50: every trial would be stopped: accuracy is a share: write 0.5",
    ),
    (
        '[study]\npruner = { name = "threshold", lower = 0.0 }',
        (
            "study.pruner.lower = 0.0: no trial would be stopped: no accuracy is below 0; give more"
            " than 0"
        ),
    ),
    (
        '[study]\nmetric = "loss"\npruner = { name = "threshold", upper = -0.1 }',
        (
            "study.pruner.upper = -0.1: every trial would be stopped: no loss is below 0; give more"
            " than 0"
        ),
    ),
    *(
        (
            f'[study]\npruner = {{ name = "{name}", min_epochs = 9{more} }}',
            (
                "study.pruner.min_epochs = 9: a trial has 8 epochs, so none would be stopped: give"
                " less than that"
            ),
        )
        for name, more in [
            ("asha", ""),
            ("hyperband", ""),
            ("median", ""),
            ("percentile", ""),
            ("threshold", ", lower = 0.5"),
        ]
    ),
    (
        '[study]\npruner = { name = "patient", of = { name = "asha", min_epochs = 20 } }',
        (
            "study.pruner.of.min_epochs = 20: a trial has 8 epochs, so none would be stopped: give"
            " less than that"
        ),
    ),
    (
        '[study]\npruner = { name = "patient", patience = 9 }',
        (
            "study.pruner.patience = 9: a trial has 8 epochs, so none would be stopped: give less"
            " than that"
        ),
    ),
    (
        "[constraints]\nparameters = 338_005",
        (
            "constraints.parameters = 338005.0: every network of this space is over it: the"
            " smallest has 338,006"
        ),
    ),
    (
        f"[constraints]\nmacs = 1000\n{SMALL}",
        (
            "constraints.macs = 1000.0: every network of this space is over it: the smallest has"
            " 1,941,684"
        ),
    ),
    (
        '[data]\ndataset = "images:x"\nimage_size = 64\n[constraints]\nmacs = 1e6',
        (
            "constraints.macs = 1000000.0: every network of this space is over it: the smallest has"
            " 39,977,160"
        ),
    ),
    (
        '[data]\ndataset = "images:x"\n[constraints]\nparameters = 1000',
        (
            "constraints.parameters = 1000.0: every network of this space is over it: the smallest"
            " has 29,998"
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), VAIN)
def test_what_can_never_hold_is_refused_of_a_new_spec_and_a_stored_one_goes_on(
    text: str, expected: str
) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(text)
    assert str(caught.value) == f"a.toml: {expected}"
    spec = spec_of(text, stored=True)
    assert said_in_vain(spec) == [expected]
    for version in (3, 4):
        definition = json.dumps(json.loads(spec.definition()) | {"version": version})
        assert said_in_vain(parse_definition(definition, spec.name, spec.budget)) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        *(f"[study]\ntarget = {target}" for target in (0, 0.0, 0.5, 1, 1.0)),
        *(f'[study]\nmetric = "loss"\ntarget = {target}' for target in (0, 0.25, 95)),
        *(
            f'[study]\npruner = {{ name = "threshold", lower = {lower} }}'
            for lower in (1e-9, 0.5, 1)
        ),
        *(
            f'[study]\nmetric = "loss"\npruner = {{ name = "threshold", upper = {upper} }}'
            for upper in (0, 3.5)
        ),
        *(
            f'[study]\npruner = {{ name = "{name}", min_epochs = 8 }}'
            for name in ("asha", "median", "hyperband")
        ),
        *(
            f'[study]\npruner = "{name}"\n[training]\nepochs = 1'
            for name in RULES
            if name != "threshold"
        ),
        '[study]\npruner = { name = "asha", reduction_factor = 1000 }',
        "[constraints]\nparameters = 338_006\nmacs = 7_652_840\nlatency = 1e-9",
        '[data]\ndataset = "synthetic"\n[constraints]\nparameters = 1',
        '[data]\ndataset = "images:x"\n[constraints]\nmacs = 100_000',
    ],
)
def test_what_may_hold_is_let_pass(text: str) -> None:
    spec_of(text)


def test_all_that_is_in_vain_is_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(
            '[study]\ntarget = 95\npruner = { name = "asha", min_epochs = 50'
            " }\n[constraints]\nmacs = 5"
        )
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "study.target = 95",
        "study.pruner.min_epochs = 50",
        "constraints.macs = 5.0",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[data]\nvalidation_fraction = 20",
            "data.validation_fraction = 20: must be 0 < value < 1: write 0.2 for 20 %",
        ),
        (
            "[space]\ndropout = 25",
            "space.dropout = 25: must be 0 <= value < 1: write 0.25 for 25 %",
        ),
        (
            "[space]\nlabel_smoothing = [false, 10]",
            "space.label_smoothing = 10: must be 0 <= value < 1: write 0.1 for 10 %",
        ),
        (
            '[study]\npruner = { name = "asha", audit = 10 }',
            "study.pruner.audit = 10: must be 0 <= value <= 1: write 0.1 for 10 %",
        ),
        ("[space]\ndropout = 1.5", "space.dropout = 1.5: must be 0 <= value < 1"),
        ("[space]\ndropout = 100", "space.dropout = 100: must be 0 <= value < 1"),
    ],
)
def test_a_share_in_percent_is_told_as_a_share(text: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(text)
    assert str(caught.value) == f"a.toml: {expected}"


def test_the_shapes_of_data_sets_are_theirs(mnist_5k_cache: Path) -> None:
    assert [*SHAPES, "synthetic"] == [*DATASETS]
    assert {each.name: len(each.class_names) for each in _SETS if each.class_names is not None} == {
        name: classes
        for name, (_, classes) in SHAPES.items()
        if name not in ("mnist-5k", "digits", "cifar100")
    }
    for name in ("mnist-5k", "digits"):
        found = open_dataset(
            DataConfig(name), data_root=mnist_5k_cache / "unused", cache_root=mnist_5k_cache
        )
        assert (found.image_shape, len(found.class_names)) == SHAPES[name]


def notice(text: str) -> str:
    return "; ".join(notices(spec_of(text)))


def test_what_may_not_have_been_meant_is_told() -> None:
    assert (
        notice("[study]\ntrials = 1\n[[trial]]\noptimizer = 'sgd'\n[[trial]]\noptimizer = 'adam'")
        == "2 [[trial]] and a budget of 1: the last 1 will not run, unless --trials raises it"
    )
    assert (
        notice('[study]\ntrials = 40\nsampler = { name = "tpe", startup_trials = 50 }')
        == "sampler tpe learns from trial 50 on, counted from 0, and the budget is 40 trials: it"
        " learns nothing"
    )
    assert notice('[study]\ntrials = 8\nsampler = "gp"').startswith(
        "sampler gp learns from trial 10 on"
    )
    assert (
        notice('[study]\ntrials = 9\npruner = { name = "median", startup_trials = 9 }')
        == "pruner median waits for 9 complete trials, and the budget is 9: it stops none"
    )
    assert (
        notice('[study]\npruner = { name = "asha", min_epochs = 8 }')
        == "pruner asha, as it is set, judges no trial before the last of 8 epochs: it stops none"
    )
    for nothing in (
        "",
        "[study]\ntrials = 1",
        "[training]\nepochs = 1",
        '[study]\npruner = "none"',
        '[study]\nsampler = "random"\ntrials = 1',
        '[study]\npruner = { name = "asha", min_epochs = 7 }',
        '[study]\ntrials = 10\npruner = { name = "median", startup_trials = 9 }',
    ):
        assert notice(nothing) == ""


@pytest.mark.parametrize(
    "rule",
    [
        *(ASHA(first, factor) for first in (1, 3, 5, 6) for factor in (2, 9)),
        *(Hyperband(first, 3) for first in (1, 5, 6)),
        *(Median(min_epochs=first, startup_trials=0) for first in (1, 5, 6)),
        *(Patient(patience, ASHA(first)) for patience in (1, 2, 4, 5) for first in (1, 3, 5)),
        *(Patient(patience, Threshold(0.5, min_epochs=2)) for patience in (1, 4, 5)),
    ],
)
def test_a_pruner_is_said_to_stop_none_where_it_does(rule: Rule) -> None:
    """By a trial that falls from the first epoch on, and whose rivals are better all along."""
    epochs, falling = 6, {epoch: -0.1 * epoch for epoch in range(1, 6)}
    rivals = [TrialCurve(number, dict.fromkeys(range(1, 7), 1.0), True) for number in range(1, 60)]
    stops = False
    for epoch, seed in itertools.product(range(1, epochs), range(8)):
        own = TrialCurve(0, {each: falling[each] for each in range(1, epoch + 1)})
        stops |= RULES[rule.name](rule, own, lambda: rivals, JudgedStudy(seed, epochs))
    spec = parse_spec({"training": {"epochs": epochs}})
    with_rule = replace(spec, pruner=replace(spec.pruner, rule=rule))
    assert stops is not any("it stops none" in line for line in notices(with_rule))


def call(*arguments: str) -> tuple[int, str, str]:
    out, errors = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["hypersearch", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), errors.getvalue()


MADE = (
    '[study]\nname = "a"\ntrials = 2\npruner = "none"\n[data]\ndataset ='
    ' "synthetic"\n[training]\nepochs = 2\n'
)


def test_a_vain_limit_is_bad_input_of_every_command_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(MADE)
    for arguments in (
        ("run", "a.toml", "--target", "95"),
        ("create", "a.toml", "--set", "study.target=95"),
        ("run", "--target", "95"),
    ):
        code, out, errors = call(*arguments)
        source = "a.toml" if "a.toml" in arguments else "the command line"
        assert (code, out) == (2, "")
        assert errors in {
            f"hypersearch: {source}: study.target = {n}: accuracy is a share: write 0.95\n"
            for n in (95, 95.0)
        }
    (tmp_path / "a.toml").write_text(MADE.replace("trials = 2", "trials = 2\ntarget = 95"))
    assert call("spec", "check", "a.toml")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]


def test_a_target_that_is_raised_beyond_reach_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(MADE)
    assert call("create", "a.toml")[0] == 0
    assert call("run", "--study", "a", "--target", "99")[::2] == (
        2,
        "hypersearch: the command line: study.target = 99: accuracy is a share: write 0.99\n",
    )
    lossy = MADE.replace('"a"', '"b"').replace("trials", 'metric = "loss"\ntrials')
    (tmp_path / "b.toml").write_text(lossy)
    assert call("create", "b.toml")[0] == 0
    # The target is above what its trials have.
    assert call("run", "--study", "b", "--target", "3.5")[0] == 0


def test_a_study_stored_with_a_vain_limit_is_listed_joined_and_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    document: Document = tomllib.loads(MADE)
    create_or_join(url, Request(document, {}, "a.toml"))
    vain: Document = tomllib.loads(MADE.replace('"none"', '{ name = "asha", min_epochs = 9 }'))
    stored = parse_spec(vain, stored=True)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        row = (stored.definition(), stored.definition_hash())
        connection.execute(
            "UPDATE hypersearch_study SET definition = ?, definition_hash = ?, target = 95", row
        )
    told = (
        "study 'a': study.target = 95.0: accuracy is a share: write 0.95",
        (
            "study 'a': study.pruner.min_epochs = 9: a trial has 2 epochs, so none would be"
            " stopped: give less than that"
        ),
        (
            "study 'a': pruner asha, as it is set, judges no trial before the last of 2 epochs: it"
            " stops none"
        ),
    )
    assert create_or_join(url, Request(vain, {}, "a.toml")).notices == told
    assert (
        create_or_join(url, Request(None, {"study": {"name": "a", "trials": 3}}, "-")).notices
        == told
    )
    assert hypersearch.run(stored, storage=url).record.finished == 3
    with open_database(url) as database:
        assert [(record.stored.name, record.stored.state) for record in list_studies(database)] == [
            ("a", "ended")
        ]
    with pytest.raises(SpecError, match="min_epochs = 9: a trial has 2 epochs"):
        create_or_join(url, Request(vain, {"study": {"name": "b"}}, "a.toml"))
