"""The soak and the kill at every step in small: worker processes are killed and frozen, and no
claim breaks.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.kill_points import EACH_EPOCH, NEVER, Point, points, run, run_all
from lab.soak import Soak, soak
from tests.forked import server

SEED = 20261123
SMALL = Soak(
    "sqlite", trials=60, workers=4, kills=8, freezes=3, pauses=0, seed=SEED, seconds_per_epoch=0.2
)


@pytest.fixture(autouse=True, scope="module")
def one_server() -> None:
    """Whoever asks first says what the session's server loads: the tests' commands want more than a
    soak does.
    """
    process = server().Process(target=int)
    process.start()
    process.join()


@pytest.mark.parametrize(
    ("backend", "checkpoint_seconds"),
    [("sqlite", EACH_EPOCH), pytest.param("postgresql", NEVER, marks=pytest.mark.long)],
)
def test_killed_and_frozen_workers_break_no_claim(
    backend: str, checkpoint_seconds: float, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    options = replace(SMALL, backend=backend, checkpoint_seconds=checkpoint_seconds)
    assert soak(options, new_database(backend), tmp_path) == []


def test_a_soak_without_the_budgets_guard_fails(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    options = Soak(
        "sqlite",
        trials=12,
        workers=4,
        kills=0,
        freezes=0,
        pauses=0,
        seed=SEED,
        seconds_per_epoch=0.05,
    )
    found = soak(replace(options, broken="budget"), new_database("sqlite"), tmp_path)
    assert any("the budget is 12" in fault for fault in found)


@pytest.mark.long
def test_a_worker_that_is_killed_at_any_step_loses_and_repeats_nothing(tmp_path: Path) -> None:
    runs, found = run_all("sqlite", 1, SEED, tmp_path)
    assert runs == 28
    assert found == []


def test_every_step_is_killed_with_checkpoints_and_without() -> None:
    twice = [points("postgresql", random.Random(0), turn) for turn in range(2)]
    found = {
        (point.operation, point.moment, point.checkpoint_seconds)
        for point in [*twice[0], *twice[1]]
    }
    # The other value leaves nothing to save.
    alone = {("save", EACH_EPOCH), ("save at hand back", NEVER)}
    assert {
        (operation, seconds) for operation, _, seconds in found if operation.startswith("save")
    } == alone
    others = [each for each in found if not each[0].startswith("save")]
    assert len(others) == 2 * len({(operation, moment) for operation, moment, _ in others})


@pytest.mark.parametrize(
    "point",
    [
        Point("create", "answer lost", 2),
        Point("report", "answer lost", 2),
        Point("finish", "answer lost", 2),
        Point("hand back", "answer lost", 1, checkpoint_seconds=NEVER),
    ],
    ids=str,
)
def test_a_commit_whose_answer_is_lost_loses_and_repeats_nothing(
    point: Point, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    assert run("answer-lost", point, new_database("postgresql"), tmp_path) == []


def test_without_a_look_back_a_lost_answer_costs_a_result(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database("postgresql")
    found = run("no-look-back", Point("finish", "answer lost", 2), url, tmp_path, "look-back")
    assert any("its worker was refused" in fault for fault in found)
