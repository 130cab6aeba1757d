"""A study that has ended says why, and what lets it go on."""

import json
import sqlite3
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from search.cli.main import main
from search.report.ending import how_to_go_on, why_it_stays_ended
from search.spec.reading import parse_spec
from storage.studies import Budget, EndReason, StoredStudy

SPEC = """
[study]
name = "a"
trials = 2
pruner = "none"
sampler = "random"
[data]
dataset = "synthetic"
[training]
epochs = 2
"""
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(SPEC)


def call(*arguments: str) -> tuple[int, str, list[str]]:
    out, errors = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["hypersearch", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), errors.getvalue().splitlines()


def told(*arguments: str) -> list[str]:
    """What a command that ends well says of the study."""
    code, _, errors = call(*arguments)
    assert code == 0, errors
    return [line for line in errors if line.startswith("study ")]


def database(statement: str) -> None:
    with sqlite3.connect("hypersearch.db") as connection:
        connection.execute(statement)


def status() -> dict[str, object]:
    found: dict[str, object] = json.loads(call("status", "a", "--json")[1])
    return found


STORED = StoredStudy(1, "u", "a", "{}", "0", Budget(4, 5400.0, 0.9), "ended", None, 1, 2)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "trials",
            (
                "its budget of 4 trials is used up; --trials raises it: hypersearch run --study a"
                " --trials 8"
            ),
        ),
        (
            "timeout",
            (
                "its time of 1h30m is used up; --timeout raises it: hypersearch run --study a"
                " --timeout 3h"
            ),
        ),
        (
            "target",
            (
                "its target of 0.9 is reached; --target raises it: hypersearch run --study a"
                " --target T"
            ),
        ),
        (
            "stopped",
            (
                "it was stopped; --trials, more than 4, lets it go on: hypersearch run --study a"
                " --trials 8"
            ),
        ),
        (
            "failures",
            "too many trials failed; mend that and run it under another name with --study",
        ),
        (
            "exhausted",
            (
                "every configuration has been run; search another space under another name with"
                " --study"
            ),
        ),
    ],
)
def test_a_study_stays_ended_for_a_reason_that_has_a_mend(reason: EndReason, expected: str) -> None:
    stored = replace(STORED, end_reason=reason)
    assert why_it_stays_ended(stored, parse_spec({})) == expected
    command = how_to_go_on(stored)
    assert expected.endswith(f": {command}") if command is not None else ": " not in expected


def test_a_target_of_a_loss_is_lowered_and_no_time_is_doubled_to_nothing() -> None:
    stored = replace(STORED, end_reason="target")
    assert "; --target lowers it: " in why_it_stays_ended(
        stored, parse_spec({"study": {"metric": "loss"}})
    )
    short = replace(STORED, end_reason="timeout", budget=Budget(4, 0.01))
    assert how_to_go_on(short) == "hypersearch run --study a --timeout 1s"


def test_a_study_that_is_extended_without_time_says_that_it_stays_ended_and_goes_on_with_more() -> (
    None
):
    told("run", "a.toml", "--timeout", "1h")
    database(f"UPDATE hypersearch_study SET started_ms = started_ms - {2 * HOUR_MS}")
    mend = "its time of 1h is used up; --timeout raises it: hypersearch run --study a --timeout 2h"
    assert told("extend", "a", "--trials", "4") == [
        "study 'a' has a budget of 4 trials and is ended",
        f"study 'a' stays ended: {mend}",
    ]
    assert told("run", "--study", "a") == [
        f"study 'a' is finished, nothing is trained again: {mend}"
    ]
    assert told("run", "--study", "a", "--trials", "5") == [f"study 'a' stays ended: {mend}"]
    assert told("create", "a.toml", "--trials", "6")[1:] == [f"study 'a' stays ended: {mend}"]
    assert (
        "  hypersearch run --study a --timeout 2h      search on"
        in call("run", "--study", "a")[1].splitlines()
    )
    database(
        f"UPDATE hypersearch_study SET ended_ms = ended_ms - {HOUR_MS}, started_ms = started_ms -"
        f" {HOUR_MS}"
    )
    assert told("run", "--study", "a", "--timeout", "2h30m") == []
    assert (status()["finished"], status()["end_reason"]) == (6, "trials")


def test_a_study_that_was_stopped_goes_on_with_a_larger_budget_alone() -> None:
    told("create", "a.toml")
    told("stop", "a")
    mend = (
        "it was stopped; --trials, more than 2, lets it go on: hypersearch run --study a --trials 4"
    )
    assert told("run", "a.toml") == [f"study 'a' is finished, nothing is trained again: {mend}"]
    assert told("extend", "a", "--trials", "2") == [
        "study 'a' has a budget of 2 trials and is ended",
        f"study 'a' stays ended: {mend}",
    ]
    assert told("extend", "a", "--trials", "3") == [
        "study 'a' has a budget of 3 trials and is open"
    ]
    told("run", "--study", "a")
    assert (status()["finished"], status()["end_reason"]) == (3, "trials")


def test_a_study_that_has_reached_its_target_goes_on_to_a_higher_one() -> None:
    told("run", "a.toml", "--target", "0.01")
    assert (status()["finished"], status()["end_reason"]) == (1, "target")
    assert told("run", "--study", "a", "--trials", "9") == [
        "study 'a' stays ended: its target of 0.01 is reached; --target raises it: hypersearch run"
        " --study a --target T"
    ]
    assert told("run", "--study", "a", "--target", "1.0") == []
    assert (status()["finished"], status()["end_reason"]) == (9, "trials")


def test_an_enumeration_that_is_done_is_not_opened_by_more_trials() -> None:
    grid = (
        'study.sampler={name="grid",points=2}',
        "space.optimizer=sgd",
        "space.scheduler=constant",
    )
    pinned = (
        "sgd.learning_rate=0.1",
        "sgd.momentum=0.9",
        "sgd.weight_decay=false",
        "batch_size=64",
        "l1=false",
    )
    pinned += (
        "dropout=[0.1,0.2]",
        "label_smoothing=false",
        "augmentation=none",
        "initializer=default",
    )
    pinned += ("input_normalization=none", "normalization=none")
    settings = [
        word for each in (*grid, *(f"space.{name}" for name in pinned)) for word in ("--set", each)
    ]
    told("run", "a.toml", *settings)
    assert (status()["finished"], status()["end_reason"]) == (2, "trials")
    assert (
        told("extend", "a", "--trials", "3")[1]
        == "study 'a' stays ended: every configuration has been run; search another space under"
        " another name with --study"
    )


def test_neither_pauses_nor_ends_nor_nights_spoil_the_pace() -> None:
    told("run", "a.toml")
    database("UPDATE hypersearch_attempt SET started_ms = 0, ended_ms = 1800000 WHERE trial_id = 1")
    database(
        "UPDATE hypersearch_attempt SET started_ms = 90000000, ended_ms = 91800000 WHERE"
        " trial_id = 2"
    )
    told("extend", "a", "--trials", "6")
    assert (status()["trials_per_hour"], status()["seconds_to_go"]) == (2.0, 7200.0)
    database(
        "UPDATE hypersearch_attempt SET started_ms = 900000, ended_ms = 2700000 WHERE trial_id = 2"
    )
    # Two workers were at work at once for a while.
    assert status()["trials_per_hour"] == pytest.approx(2 / 0.75)
    told("pause", "a")
    assert status()["seconds_to_go"] == pytest.approx(4 * 0.375 * 3600)
