"""Several studies side by side at equal budget, all trials as CSV, and what set the best trials
apart.
"""

import csv
import json
import math
import random
import sqlite3
from dataclasses import replace
from io import StringIO
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

import hypersearch
from objectives.synthetic import synthetic_curve
from search.algorithms.distributions import distribution
from search.analysis.comparison import (
    Comparison,
    Contender,
    Incomparable,
    SideBySide,
    compare_studies,
    compare_study,
)
from search.analysis.data_sets import data_sets, ranges
from search.analysis.equal_budget import Standing, after_trials, within_epochs
from search.analysis.importance import BEST_SHARE, FEWEST, importance_intervals, importances
from search.report.documents import compare_document, to_json
from search.report.side_by_side import side_by_side_document, side_by_side_text, trials_csv
from search.report.text import compare_text, summary_text
from search.space.configuration import Configuration
from search.space.domains import Choice, Domain, Off, Range, Value
from search.space.search_space import SearchSpace
from search.spec.document import Document
from search.spec.reading import parse_spec
from storage.direction import Direction
from storage.engine import open_database
from storage.records import EpochRecord, ParameterValue, TrialRecord, TrialState


def trial(number: int, state: TrialState, value: float | None, epochs: int) -> TrialRecord:
    trained = tuple(
        EpochRecord(each + 1, 1, 0, 1, 0, 0, 0, 0.1, 0, 1, 1, None) for each in range(epochs)
    )
    return record(number, state, value, {}, trained)


def record(
    number: int,
    state: TrialState,
    value: float | None,
    parameters: dict[str, ParameterValue],
    epochs: tuple[EpochRecord, ...] = (),
) -> TrialRecord:
    return TrialRecord(
        number=number,
        state=state,
        value=value,
        costs=(),
        parameters=parameters,
        epochs=epochs,
        attempts=1,
        device="cpu",
        threads=1,
        reason=None,
        started_ms=0,
        ended_ms=1,
    )


TRIALS = [
    trial(0, "complete", 0.7, 4),
    trial(1, "failed", None, 3),
    trial(2, "pruned", 0.95, 1),
    trial(3, "complete", 0.8, 4),
    trial(4, "running", None, 2),
    trial(5, "complete", 0.9, 4),
]


def test_the_standing_after_so_many_finished_trials_counts_every_epoch_trained() -> None:
    found = [after_trials(TRIALS, count, Direction.UP) for count in range(5)]
    assert found == [
        Standing(0, 0, None),
        # The trial that failed after it, before the next one finished, is counted.
        Standing(1, 7, TRIALS[0]),
        # A pruned trial is no incumbent.
        Standing(2, 8, TRIALS[0]),
        Standing(3, 12, TRIALS[3]),
        Standing(4, 16, TRIALS[5]),
    ]
    # The order in which they come does not matter.
    assert after_trials(TRIALS[::-1], 3, Direction.UP) == found[3]
    assert after_trials(TRIALS, 3, Direction.DOWN).best == TRIALS[0]


def test_the_standing_within_so_many_epochs_takes_no_trial_that_goes_beyond() -> None:
    found = [within_epochs(TRIALS, epochs, Direction.UP) for epochs in (3, 4, 11, 12, 99)]
    assert found == [
        Standing(0, 0, None),
        Standing(1, 4, TRIALS[0]),
        Standing(2, 8, TRIALS[0]),
        Standing(3, 12, TRIALS[3]),
        Standing(4, 16, TRIALS[5]),
    ]


def ran(url: str, name: str, trials: int, **tables: Document) -> None:
    document: Document = {
        "study": {
            "name": name,
            "trials": trials,
            "pruner": "none",
            "sampler": "random",
            **tables.get("study", {}),
        },
        "data": {"dataset": "synthetic", **tables.get("data", {})},
        "training": {"epochs": 2},
        "space": tables.get("space", {}),
    }
    hypersearch.run(parse_spec(document), storage=url)


def test_studies_stand_side_by_side_with_what_differs_in_their_specs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    ran(url, "all", 6)
    ran(url, "sgd", 3, space={"optimizer": "sgd"})
    with open_database(url) as database:
        found = compare_studies(database, ["all", "sgd"])
        alone = compare_study(database, "all")
    assert (found.trials, found.epochs, found.is_on_other_images) == (3, 6, False)
    first_three = [trial for trial in alone.trials if trial.number < 3]
    best = found.contenders[0].at_equal_trials.best
    assert best is not None
    assert best.value == max(trial.value or 0.0 for trial in first_three)
    document = json.loads(json.dumps(side_by_side_document(found, timings=False)))
    assert document["differing_keys"] == {
        "space.optimizer": {"all": ["sgd", "adagrad", "rmsprop", "adam", "adamw"], "sgd": "sgd"}
    }
    assert [
        (each["study"], each["finished"], len(each["trials"])) for each in document["studies"]
    ] == [
        ("all", 6, 6),
        ("sgd", 3, 3),
    ]
    assert [each["at_equal_trials"]["trials"] for each in document["studies"]] == [3, 3]
    assert document["studies"][0]["at_equal_trials"]["incumbent"]["value"] == best.value
    text = side_by_side_text(found)
    assert "after 3 trials  within 6 epochs" in text
    assert 'space.optimizer  ["sgd", "adagrad", "rmsprop", "adam", "adamw"]  "sgd"' in text
    assert "other images" not in text


def test_studies_of_other_splits_are_said_to_be_no_ranking_and_of_other_metrics_refused(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    ran(url, "a", 1)
    ran(url, "b", 1, data={"split_seed": 1})
    ran(url, "c", 1, study={"metric": "loss"})
    with open_database(url) as database:
        assert "their values are of other images or splits" in side_by_side_text(
            compare_studies(database, ["a", "b"])
        )
        with pytest.raises(Incomparable) as caught:
            compare_studies(database, ["a", "b", "c"])
    assert (
        str(caught.value) == "study 'a' is led by accuracy, study 'c' by loss: "
        "their values cannot be compared; compare studies of one metric"
    )


def test_every_trial_is_a_row_of_the_csv(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    ran(url, "a", 3, space={"optimizer": "sgd", "sgd.momentum": 0.9})
    ran(url, "b", 2, space={"optimizer": "adam"})
    with open_database(url) as database:
        found = [compare_study(database, name) for name in ("a", "b")]
    rows = list(csv.DictReader(StringIO(trials_csv(found, timings=False))))
    assert [(row["study"], row["number"]) for row in rows] == [
        (comparison.spec.name, str(trial.number))
        for comparison in found
        for trial in comparison.trials
    ]
    first = found[0].trials[0]
    assert {
        name: rows[0][name] for name in ("state", "value", "epochs", "params.sgd.momentum")
    } == {
        "state": "complete",
        "value": str(first.value),
        "epochs": "2",
        "params.sgd.momentum": "0.9",
    }
    assert rows[0]["params.adam.learning_rate"] == ""
    assert not {"seconds", "device"} & rows[0].keys()
    assert {"seconds", "device"} <= next(
        csv.DictReader(StringIO(trials_csv(found, timings=True)))
    ).keys()


def test_a_number_that_is_not_finite_is_null_in_json_and_empty_in_csv(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    ran(url, "a", 3)
    ran(url, "b", 3)
    # An earlier version recorded it so.
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE hypersearch_epoch SET train_eval_loss = 9e999 WHERE epoch = 2")
        connection.execute(
            "UPDATE hypersearch_epoch SET validation_loss = 9e999, seconds = -9e999 WHERE"
            " trial_id = 1"
        )
    connection.close()
    with open_database(url) as database:
        one = compare_study(database, "a")
        both = compare_studies(database, ["a", "b"])
    odd = next(
        trial
        for trial in json.loads(to_json(compare_document(one, timings=True)))["trials"]
        if not trial["number"]
    )
    names = ("state", "epochs", "validation_loss", "generalization_gap", "seconds")
    assert [odd[name] for name in names] == ["complete", 2, None, None, None]
    shown = json.loads(to_json(side_by_side_document(both, timings=True)))
    assert [
        trial["generalization_gap"] for each in shown["studies"] for trial in each["trials"]
    ] == [None] * 6
    rows = list(csv.DictReader(StringIO(trials_csv([one], timings=True))))
    assert [row["validation_loss"] == "" for row in rows if row["number"] == "0"] == [True]
    assert {row["generalization_gap"] for row in rows} == {""}


def at_random(
    count: int, seed: int, changes: dict[str, Domain]
) -> tuple[list[TrialRecord], SearchSpace]:
    """Trials of the made-up objective."""
    random_numbers, space = random.Random(seed), SearchSpace.default(changes)

    def suggest(name: str, domain: Domain) -> Value:
        if isinstance(domain, Choice):
            return random_numbers.choice(domain.options)
        assert isinstance(domain, Range)
        low, high = (
            (math.log(domain.low), math.log(domain.high))
            if domain.log
            else (domain.low, domain.high)
        )
        value = random_numbers.uniform(low, high)
        number = min(max(math.exp(value) if domain.log else value, domain.low), domain.high)
        return round(number) if name == "batch_size" else number

    found = []
    for number in range(count):
        values = space.suggest(suggest)
        *_, last = synthetic_curve(Configuration(values).hyperparameters(), 4, number)
        value = last.validation_accuracy
        found.append(record(number, "complete", value, dict(values)))
    return found, space


@pytest.mark.parametrize("seed", range(3))
def test_the_hyperparameter_that_decides_is_the_most_important_one(seed: int) -> None:
    pinned: dict[str, Domain] = {"optimizer": Choice(("sgd",)), "scheduler": Choice(("cosine",))}
    trials, space = at_random(60, seed, pinned)
    found = importances(trials, space, Direction.UP)
    assert found is not None
    assert found.shares[0][0] == "sgd.learning_rate"
    assert sum(share for _, share in found.shares) == pytest.approx(1)
    assert (found.best, found.complete) == (15, 60)
    # The optimizer is pinned.
    assert "optimizer" not in dict(found.shares)
    assert not [name for name, _ in found.shares if name.endswith(".on")]


@pytest.mark.parametrize("seed", range(4))
def test_the_importances_are_those_of_optuna(seed: int) -> None:
    changes: dict[str, Domain] = {
        "optimizer": Choice(("sgd", "adam")),
        "batch_size": (
            Range(8, 128, whole=True),
            Range(8, 256, log=True, whole=True),
            Range(8, 12, whole=True),
            Choice((32, 64, 128)),
        )[seed],
        "scheduler": Choice(("constant", "step")),
        "sgd.weight_decay": Off(),
        "adam.weight_decay": Off(),
    }
    trials, space = at_random(120, seed, changes)
    direction = list(Direction)[seed % 2]
    found = importances(trials, space, direction)
    assert found is not None
    study = optuna.create_study(direction=direction)
    names = set(space.searched) | {f"{name}.on" for name in space.searched}
    for each in trials:
        values = {name: value for name, value in each.parameters.items() if name in names}
        distributions = {
            name: (
                CategoricalDistribution((True, False))
                if name.endswith(".on")
                else distribution(space.domain(name))
            )
            for name in values
        }
        study.add_trial(
            optuna.trial.create_trial(value=each.value, params=values, distributions=distributions)
        )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    expected: dict[str, float] = {}
    for name, share in get_param_importances(study, evaluator=evaluator).items():
        known = name.removesuffix(".on")
        expected[known] = expected.get(known, 0.0) + share
    assert not found.left_out
    assert dict(found.shares) == pytest.approx(expected, rel=1e-6)


def test_the_intervals_of_importances_are_drawn_by_a_constant_seed_and_narrow_with_trials() -> None:
    pinned: dict[str, Domain] = {"optimizer": Choice(("sgd",)), "scheduler": Choice(("cosine",))}
    widths = []
    for count in (60, 600):
        trials, space = at_random(count, 1, pinned)
        found = importances(trials, space, Direction.UP)
        assert found is not None
        drawn = importance_intervals(trials, space, Direction.UP)
        assert drawn == importance_intervals(trials[::-1], space, Direction.UP)
        assert drawn.keys() == dict(found.shares).keys()
        assert all(
            0 <= drawn[name].low <= share <= drawn[name].high <= 1 for name, share in found.shares
        )
        first = found.shares[0][0]
        widths.append(drawn[first].high - drawn[first].low)
    assert widths[1] < widths[0]
    few, space = at_random(FEWEST - 1, 0, {})
    assert importance_intervals(few, space, Direction.UP) == {}


def test_resamples_of_a_long_study_are_of_a_thousand_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials, space = at_random(60, 1, {})
    found = []
    for most in (1000, 60, 30):
        monkeypatch.setattr("search.analysis.importance.MOST_DRAWN", most)
        found.append(importance_intervals(trials, space, Direction.UP))
    assert found[0] == found[1] != found[2]


def test_what_few_trials_have_had_is_left_out_by_name() -> None:
    trials, space = at_random(FEWEST, 0, {})
    found = importances(trials, space, Direction.UP)
    assert found is not None
    assert "adam.learning_rate" in found.left_out
    assert "batch_size" in dict(found.shares)
    assert importances(trials[1:], space, Direction.UP) is None
    pruned = [replace(trial, state="pruned") for trial in trials]
    assert importances(pruned, space, Direction.UP) is None


def test_compare_says_what_the_importances_mean(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    ran(url, "many", FEWEST)
    comparison = hypersearch.compare("many", storage=url)
    text = compare_text(comparison)
    assert (
        f"what tells the best 5 of the {FEWEST} complete trials from the others, in shares of 1"
        "; intervals by 50 resamples of 20 trials) hyperparameter share 90 % interval "
        in " ".join(text.split())
    )
    assert comparison.importances is not None
    ran(url, "few", 2)
    few = hypersearch.compare("few", storage=url)
    assert compare_text(few).endswith(
        "importances: no hyperparameter has been in 20 complete trials yet"
    )


# --- what the trials were trained on

FIRST, SECOND = "a" * 64, "b" * 64


def trained_on(fingerprints: list[str | None]) -> list[TrialRecord]:
    return [
        replace(trial(number, "complete", 0.5, 1), data_fingerprint=fingerprint)
        for number, fingerprint in enumerate(fingerprints)
    ]


def test_trials_are_told_apart_by_what_they_were_trained_on() -> None:
    waiting = replace(trial(9, "running", None, 0), attempts=0)
    found = data_sets([*reversed(trained_on([None, FIRST, FIRST, SECOND, FIRST])), waiting])
    assert found == [(None, [0]), (FIRST, [1, 2, 4]), (SECOND, [3])]
    assert [ranges(numbers) for _, numbers in found] == ["0", "1-2, 4", "3"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    url = f"sqlite:///{tmp_path_factory.mktemp('compared')}/a.db"
    ran(url, "s", 1)
    with open_database(url) as database:
        return compare_study(database, "s")


def on(compared: Comparison, name: str, fingerprints: list[str | None]) -> Comparison:
    spec = parse_spec({"study": {"name": name}, "data": {"dataset": "synthetic"}})
    return replace(compared, spec=spec, trials=tuple(trained_on(fingerprints)))


@pytest.mark.parametrize("fingerprints", [[None, None], [FIRST, FIRST], [None, FIRST], []])
def test_nothing_is_said_of_images_that_are_the_same_as_far_as_is_known(
    fingerprints: list[str | None], compared: Comparison
) -> None:
    assert "trained on different images" not in compare_text(on(compared, "s", fingerprints))


def test_different_images_are_said_in_compare_and_in_the_summary_of_a_run(
    compared: Comparison,
) -> None:
    mixed = on(compared, "s", [None, FIRST, FIRST, FIRST, SECOND, FIRST])
    said = (
        "\n\nthe trials were trained on different images: values of different lines are no"
        " ranking\nfingerprint   trials\nunknown       0\naaaaaaaaaaaa  1-3, 5\nbbbbbbbbbbbb  4\n\n"
    )
    assert said in compare_text(mixed)
    assert said in summary_text(mixed)
    document = compare_document(mixed, timings=False)
    assert [each["data_fingerprint"] for each in document["trials"]] == [
        None,
        *[FIRST] * 3,
        SECOND,
        FIRST,
    ]  # type: ignore[index,union-attr,call-overload]
    rows = list(csv.DictReader(StringIO(trials_csv([mixed], timings=False))))
    assert [row["data_fingerprint"] for row in rows] == ["", *[FIRST] * 3, SECOND, FIRST]


def side_by_side(compared: Comparison, *fingerprints: list[str | None]) -> SideBySide:
    contenders = tuple(
        Contender(on(compared, f"s{place}", each), 1, Standing(0, 0, None), Standing(0, 0, None))
        for place, each in enumerate(fingerprints)
    )
    return SideBySide(contenders, 1, 1, ())


def test_studies_of_one_spec_are_on_other_images_where_their_fingerprints_say_so(
    compared: Comparison,
) -> None:
    found = side_by_side(compared, [FIRST], [None], [SECOND, FIRST])
    assert found.is_on_other_images
    assert (
        "\n\nthe studies were trained on different images, though their [data] is the same: their"
        " values are no\nranking\n"
        "study  fingerprint\n"
        "s0     aaaaaaaaaaaa\n"
        "s1     unknown\n"
        "s2     aaaaaaaaaaaa, bbbbbbbbbbbb\n\n" in side_by_side_text(found)
    )
    same = side_by_side(compared, [FIRST], [None], [FIRST])
    assert not same.is_on_other_images
    assert "images" not in side_by_side_text(same)
