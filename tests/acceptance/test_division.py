"""How many threads and workers a machine trains best with: real processes, on at most two of its
cores.
"""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from objectives.processor import usable_cores
from search.machine.division import Share
from search.machine.division_file import known_divisions
from search.machine.trainers import Trainers
from tests import forked

SPEC = """
[study]
name = "divided"
trials = 2
pruner = "none"
[data]
dataset = "digits"
[training]
epochs = 1
[model]
channels = [4, 8]
hidden_units = 16
"""
CORES = min(2, usable_cores())


def two_cores() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def hypersearch(folder: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """As a user runs it, but for the time that measuring may take; `code` runs afterwards in the
    same process.
    """
    program = (
        "import sys\nfrom search.cli import main\nfrom search.machine import measuring\n"
        "measuring.ENOUGH_SECONDS = measuring.ENOUGH_PIECE_SECONDS = 1.0\n"
        f"try:\n    main.main()\nfinally:\n    {code or 'pass'}\n"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=two_cores,
    )


@pytest.fixture
def folder(tmp_path: Path, mnist_5k_cache: Path) -> Path:
    """A user's folder, whose cache holds the images and no division."""
    (tmp_path / "cache" / "hypersearch").mkdir(parents=True)
    (tmp_path / "cache" / "hypersearch" / "decoded").symlink_to(
        mnist_5k_cache, target_is_directory=True
    )
    (tmp_path / "divided.toml").write_text(SPEC)
    return tmp_path


def attempts(folder: Path, database: str) -> list[tuple[int]]:
    with sqlite3.connect(folder / database) as connection:
        return connection.execute("SELECT threads FROM hypersearch_attempt").fetchall()


def measurings(result: subprocess.CompletedProcess[str]) -> int:
    assert result.returncode == 0, result.stderr
    return result.stderr.count("measuring how many threads and workers")


def measured_shares(result: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    """The threads of one worker, and of each of several, that were measured to be best; of one core
    nothing is.
    """
    said = re.search(
        r"^measured: .* one worker 1 x (\d+), auto \d+ x (\d+)[,;]", result.stderr, re.MULTILINE
    )
    return (int(said[1]), int(said[2])) if said else (1, 1)


@pytest.mark.long
def test_a_machine_is_measured_once_without_torch_and_trials_record_their_threads(
    folder: Path,
) -> None:
    no_torch = "assert 'torch' not in sys.modules"
    auto = ("run", "divided.toml", "--device", "cpu", "--workers", "auto")
    first = hypersearch(folder, *auto, "--storage", "sqlite:///a.db", code=no_torch)
    assert measurings(first) == CORES - 1
    alone, together = measured_shares(first)
    kept = known_divisions(folder / "cache" / "hypersearch" / "division", CORES)
    # Where other programs run meanwhile, tests among them, nothing is.
    assert len(kept) == (CORES > 1 and "not kept" not in first.stderr)
    for _, division in kept:
        assert [row.share for row in division.table] == [Share(1, 1), Share(1, 2), Share(2, 1)]
        assert min(row.images_per_second for row in division.table) > 0
        assert (division.alone, division.together.threads) == (alone, together)
    assert attempts(folder, "a.db") == [(together,)] * 2
    # Another run that is not kept would measure once more, which takes long and shows nothing new.
    if kept:
        second = hypersearch(
            folder, "run", "divided.toml", "--device", "cpu", "--storage", "sqlite:///b.db"
        )
        assert measurings(second) == 0
        # Beside what runs by now, a worker may have fewer.
        assert {threads for (threads,) in attempts(folder, "b.db")} <= set(range(1, alone + 1))


def test_what_is_pinned_made_up_or_bad_is_not_measured(folder: Path) -> None:
    def hypersearch(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forked.hypersearch(folder, *arguments, XDG_CACHE_HOME=str(folder / "cache"))

    made_up = ("--dataset", "synthetic", "--study", "made-up")
    for arguments in (("--threads", "1"), (*made_up, "--workers", "auto"), made_up):
        assert measurings(hypersearch("run", "divided.toml", "-v", *arguments)) == 0
    assert measurings(hypersearch("worker", "--workers", "auto")) == 0
    bad = hypersearch("run", "--dataset", "images:nowhere", "--workers", "auto")
    assert (bad.returncode, bad.stderr.count("\n")) == (2, 1)
    wrong = hypersearch("worker", "--study", "nothing", "--workers", "auto", "--forever")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert not (folder / "cache" / "hypersearch" / "division").exists()


@pytest.mark.long
def test_processes_train_together_and_the_dead_are_missed() -> None:
    with Trainers("cpu") as trainers:
        # Other tests in this process have these.
        others = {process.pid for process in psutil.Process().children()}
        trainers.start(2)
        processes = [
            process for process in psutil.Process().children() if process.pid not in others
        ]
        assert trainers.device == "cpu"
        together = trainers.images_per_second(Share(2, 1))
        assert together is not None
        assert together > 0
        assert 0 <= trainers.busy_percent() <= 100
        assert trainers.room().workers >= 2
        max(processes, key=psutil.Process.create_time).kill()
        assert trainers.images_per_second(Share(2, 1)) is None
        assert trainers.images_per_second(Share(1, 1)) is not None
    assert [process.is_running() for process in processes] == [False, False]


def test_where_nothing_trains_that_is_found_at_once() -> None:
    with Trainers("cuda:99") as trainers:
        trainers.start(1)
        assert trainers.images_per_second(Share(1, 1)) is None
