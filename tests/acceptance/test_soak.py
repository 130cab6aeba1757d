"""The soak and the kill at every step in small: worker processes are killed and frozen, and no claim breaks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.kill_points import Point, run, run_all
from benchmarks.soak import Soak, soak

SEED = 20261123
SMALL = Soak("sqlite", trials=60, workers=4, kills=8, freezes=3, pauses=0, seed=SEED, seconds_per_epoch=0.2)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_killed_and_frozen_workers_break_no_claim(
    backend: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    assert soak(replace(SMALL, backend=backend), new_database(backend), tmp_path) == []


def test_a_soak_without_the_budgets_guard_fails(new_database: Callable[[str], str], tmp_path: Path) -> None:
    options = Soak("sqlite", trials=12, workers=4, kills=0, freezes=0, pauses=0, seed=SEED, seconds_per_epoch=0.05)
    found = soak(replace(options, broken="budget"), new_database("sqlite"), tmp_path)
    assert any("the budget is 12" in fault for fault in found)


def test_a_worker_that_is_killed_at_any_step_loses_and_repeats_nothing(tmp_path: Path) -> None:
    runs, found = run_all("sqlite", 1, SEED, tmp_path)
    assert runs == 26
    assert found == []


@pytest.mark.parametrize("operation", ["create", "report", "finish"])
def test_a_commit_whose_answer_is_lost_loses_and_repeats_nothing(
    operation: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database("postgresql")
    assert run("answer-lost", Point(operation, "answer lost", 2), url, tmp_path) == []


def test_without_a_look_back_a_lost_answer_costs_a_result(new_database: Callable[[str], str], tmp_path: Path) -> None:
    url = new_database("postgresql")
    found = run("no-look-back", Point("finish", "answer lost", 2), url, tmp_path, "look-back")
    assert any("its worker was refused" in fault for fault in found)
