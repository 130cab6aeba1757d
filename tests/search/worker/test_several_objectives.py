"""A study of several objectives: its front is Optuna's, its bounds hold, and it is pruned by its
metric.
"""

import csv
import io
from pathlib import Path

import optuna
import pytest

from objectives.names import COSTS
from search.analysis.comparison import Comparison
from search.notebook import run
from search.report.documents import compare_document
from search.report.side_by_side import trials_csv
from search.report.text import compare_text
from search.spec.definition import parse_definition
from search.spec.document import Document, SpecError
from search.spec.reading import parse_spec

BOUND = 600_000


def document(**study: object) -> Document:
    return {
        "study": {"name": "several", "minimize": ["parameters", "macs"], "trials": 40, **study},  # type: ignore[dict-item]
        "data": {"dataset": "synthetic"},
        "space": {"width": {"low": 0.25, "high": 2.0}},
        "constraints": {"parameters": BOUND},
    }


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    """A study of 40 trials."""
    return run(parse_spec(document()), storage=f"sqlite:///{tmp_path}/a.db")


def test_a_study_of_40_trials_shows_the_front_that_optuna_and_a_look_at_every_pair_find(
    found: Comparison, tmp_path: Path
) -> None:
    study = optuna.load_study(study_name="several", storage=f"sqlite:///{tmp_path}/a.db")
    assert [direction.name for direction in study.directions] == [
        "MAXIMIZE",
        "MINIMIZE",
        "MINIMIZE",
    ]
    assert study.metric_names == ["accuracy", "parameters", "macs"]
    front = [trial.number for trial in found.front]
    assert sorted(front) == sorted(trial.number for trial in study.best_trials)
    assert len(front) > 1
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    for one in complete:
        better = [
            other.number
            for other in complete
            if other.values[0] >= one.values[0]
            and other.values[1] <= one.values[1]
            and other.values[2] <= one.values[2]
            and other.values != one.values
        ]
        assert (one.number in front) == (not better)
    values = [trial.value for trial in found.front if trial.value is not None]
    assert values == sorted(values, reverse=True)
    assert found.incumbent is not None
    assert found.incumbent.number == front[0]


def test_what_is_over_a_bound_is_not_trained_and_uses_up_the_budget(found: Comparison) -> None:
    over = [
        trial
        for trial in found.trials
        if trial.reason is not None and trial.reason.startswith("infeasible")
    ]
    assert over
    assert {trial.state for trial in over} == {"pruned"}
    assert all(trial.epochs == () and trial.value is None for trial in over)
    assert over[0].reason is not None
    assert "is over 600,000" in over[0].reason
    widths = {trial.number: float(trial.parameters["width"] or 0) for trial in found.trials}
    assert {trial.number for trial in over} == {
        n for n, width in widths.items() if round(338_006 * width**2) > BOUND
    }
    assert found.record.finished == 40
    # The sampler has learnt it: of the second half fewer are over the bound.
    late = sum(trial.number >= 20 for trial in over)
    assert late < len(over) - late


def test_pruned_trials_have_the_costs_that_they_had(found: Comparison) -> None:
    stopped = [trial for trial in found.trials if trial.reason == "by asha"]
    assert stopped
    for trial in stopped:
        assert trial.costs[0] == round(338_006 * float(trial.parameters["width"] or 0) ** 2)


def test_compare_shows_the_front_to_people_and_to_scripts(found: Comparison) -> None:
    text = compare_text(found)
    assert "Pareto front: the complete trials that no other beats in everything\n" in text
    told = compare_document(found, timings=False)
    assert told["front"] == [trial.number for trial in found.front]
    assert told["minimize"] == ["parameters", "macs"]
    best = told["trials"][0]  # type: ignore[index]
    assert best["costs"] == dict(zip(("parameters", "macs"), found.trials[0].costs, strict=True))
    rows = list(csv.DictReader(io.StringIO(trials_csv([found], timings=False))))
    assert float(rows[0]["costs.parameters"]) == found.trials[0].costs[0]


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_other_samplers_serve_several_objectives(tmp_path: Path, sampler: str) -> None:
    spec = parse_spec(document(sampler=sampler, trials=15, pruner="none"))
    found = run(spec, storage=f"sqlite:///{tmp_path}/a.db")
    assert found.record.finished == 15
    assert found.front


def test_a_real_network_is_bounded_and_timed(tmp_path: Path) -> None:
    spec = parse_spec(
        {
            "study": {
                "name": "real",
                "minimize": list(COSTS),
                "trials": 2,
                "pruner": "none",
                "sampler": "random",
            },
            "data": {"dataset": "digits"},
            "training": {"epochs": 1},
            "model": {"channels": [4, 8], "hidden_units": 10},
            "space": {"width": [1.0, 20.0]},
            "constraints": {"macs": 200_000},
            "trial": [{"width": 1.0, "batch_size": 128}, {"width": 20.0, "batch_size": 128}],
        }
    )
    found = run(spec, storage=f"sqlite:///{tmp_path}/a.db", threads=1)
    first = next(trial for trial in found.trials if trial.number == 0)
    assert first.state == "complete"
    parameters, macs, latency = first.costs
    assert macs == 8 * 8 * 4 * 9 + 8 * 8 * 8 * 4 * 9 + 4 * 4 * 8 * 10 + 10 * 10
    # A normalization has parameters, too.
    assert parameters >= 4 * 9 + 4 + 8 * 4 * 9 + 8 + 4 * 4 * 8 * 10 + 10 + 10 * 10 + 10
    assert 0 < latency < 1000
    wide = next(trial for trial in found.trials if trial.number == 1)
    assert wide.reason is not None
    assert wide.reason.startswith("infeasible: macs ")
    assert wide.cause == "bound"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"study": {"minimize": ["params"]}},
            "study.minimize = \"params\": did you mean 'parameters'?",
        ),
        (
            {"study": {"minimize": "macs"}},
            'study.minimize = "macs": must be a list of different names',
        ),
        (
            {"study": {"minimize": ["macs", "macs"]}},
            "must be a list of different names: parameters, macs, latency",
        ),
        ({"study": {"minimize": ["macs"], "sampler": "gp"}}, "searches one objective: use tpe"),
        ({"constraints": {"parameters": 0}}, "constraints.parameters = 0: must be above 0"),
        (
            {"constraints": {"parameters": "few"}},
            'constraints.parameters = "few": must be a number',
        ),
        ({"constraints": {"size": 3}}, "constraints.size = 3: unknown key"),
    ],
)
def test_what_cannot_be_is_one_line(changes: Document, expected: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_spec(changes)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_spec_comes_back_from_its_document_and_its_definition() -> None:
    spec = parse_spec(document())
    assert parse_spec(spec.to_document()) == spec
    assert parse_definition(spec.definition(), spec.name, spec.budget) == spec
    plain = parse_spec({})
    assert "minimize" not in plain.definition()
    assert "constraints" not in plain.definition()
