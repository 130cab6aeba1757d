"""Whether the stated intervals hold on real trainings: configurations of the default space are
drawn at random, and each is trained on mnist-5k under many seeds, of which a few state an interval
that should hold the mean of the others.

`hypersearch confirm` trains them, so what is recorded is the product's own. Resumable: run again
with the same --folder, it goes on where it stood, and what is recorded is judged again in seconds.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.figures import machine
from lab.checkout import ROOT, environment
from search.analysis.inference.intervals import estimate
from search.analysis.judged import Judged, read_judged, runs_of
from storage.engine import open_database
from storage.predictions import SplitPredictions
from storage.records import read_trials
from storage.studies import find_study

STUDY = "seeds"
# So many seeds state the interval, as many as `confirm` has by default.
STATING = 5


def record(url: str, given: argparse.Namespace) -> None:
    """Searches at random, then trains every configuration under each seed."""
    size = ("--trials", str(given.configurations), "--epochs", str(given.epochs))
    how = ("--workers", str(given.workers), "--threads", str(given.threads))
    drawn = ("--sampler", "random", "--pruner", "none", "--seed", "1")
    _hypersearch(url, "run", "--study", STUDY, "--dataset", given.dataset, *drawn, *size, *how)
    with open_database(url) as database:
        trials = read_trials(database, find_study(database, STUDY).study_id)
    complete = sum(each.state == "complete" for each in trials)
    asked = ("--top", str(complete), "--seeds", str(given.seeds), "--no-test", "--baseline", "none")
    _hypersearch(url, "confirm", STUDY, "--yes", *asked, *how)


def _hypersearch(url: str, *arguments: str) -> None:
    command = [sys.executable, "-P", "-m", "hypersearch", *arguments, "--storage", url, "-q"]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)


def judge(url: str, stating: int, metric: str = "accuracy") -> None:
    """Prints how many intervals on these images hold the mean of the seeds that did not state them,
    in each way of taking so many neighbouring seeds; configurations that diverged are left out.
    """
    with open_database(url) as database:
        judged = read_judged(database, find_study(database, f"{STUDY}:confirm:1"))
    held = count = first = steady = 0
    for _, each in groupby(sorted(judged, key=_arm), key=_arm):
        answered = [one.validation for one in each]
        runs = [one for one in answered if one is not None]
        if len(runs) < len(answered):
            continue
        steady += 1
        for start in range(0, len(runs) - stating, stating):
            is_held = _holds(metric, runs, start, stating)
            held, count = held + is_held, count + 1
            first += is_held and start == 0
    print(f"{first} of {steady} configurations: the interval of the first {stating} seeds holds")
    print(f"{held} of {count} intervals of {stating} seeds hold the mean of the other seeds")


def _arm(each: Judged) -> str:
    return each.training.arm


def _holds(metric: str, runs: Sequence[SplitPredictions], start: int, stating: int) -> bool:
    stated = estimate(runs_of(metric, runs[start : start + stating])).these_images
    others = runs_of(metric, [*runs[:start], *runs[start + stating :]])
    return stated is not None and stated.holds(float(others.values.mean()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Records what is missing and prints what holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the database lies; kept")
    parser.add_argument("--dataset", default="mnist-5k")
    parser.add_argument("--configurations", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--stating", type=int, default=STATING, help="seeds of an interval")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{given.folder.resolve()}/seeds.db"
    print(machine("hypersearch", "torch", "optuna"))
    record(url, given)
    judge(url, given.stating)
    return 0


if __name__ == "__main__":
    sys.exit(main())
