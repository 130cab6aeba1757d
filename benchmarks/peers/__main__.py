"""Searches by hypersearch and its peers: the same space, images, split, epochs and first
configuration, judged alike.

The first part of a round runs Optuna's example style (100 trials or 600 s, as that has it), and
then hypersearch for shares of the wall time that this took; the second part gives every peer the
same wall time. What each returns is trained three times again under fresh seeds and scored on
MNIST's test images. Needs `ray[tune]` and `syne-tune` beside the package for theirs.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

from benchmarks.figures import machine
from benchmarks.peers.contest import EPOCHS, Answer, cache_root
from benchmarks.true_scores import Judge
from lab.checkout import ROOT, environment

# Each peer needs a package.
PEERS = {"ray": "ray", "syne": "syne_tune"}
# No search gets to so many.
MOST_TRIALS = 300
# A search that must be over at a given time has so long for its start and its end.
START_SECONDS = 10.0


@dataclass(frozen=True)
class Entry:
    """A line of the table."""

    who: str
    seed: int
    # The time is that of the whole process, its start included.
    wall: float
    answer: Answer


def search(who: str, seed: int, trials: int, seconds: float | None, device: str) -> Answer:
    """In this process; Ray Tune and Syne Tune train on the CPU."""
    if who == "optuna-example":
        from benchmarks.peers import optuna_example

        return optuna_example.search(seed, trials, seconds, device)
    if who == "ray":
        from benchmarks.peers import ray_tune

        return ray_tune.search(seed, trials, seconds)
    if who == "syne":
        from benchmarks.peers import syne

        return syne.search(seed, trials, seconds)
    from benchmarks.peers import ours

    workers, threads = who.removeprefix("hypersearch").strip().split("x")
    return ours.search(seed, trials, seconds, device, workers, threads)


def run(who: str, seed: int, trials: int, seconds: float | None, device: str) -> Entry:
    """In a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers",
        "one",
        who,
        str(seed),
        str(trials),
        str(seconds or 0),
    ]
    command += ["--device", device]
    started = time.perf_counter()
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - started
    return Entry(who, seed, wall, Answer(**json.loads(ended.stdout.splitlines()[-1])))


def judged(judge: Judge | None, entry: Entry) -> str:
    """A line: what was returned, what it is worth, what it took."""
    answer = entry.answer
    true = "not judged"
    if judge is not None:
        scores = judge.scores(answer.hyperparameters(), EPOCHS, f"{entry.who} {entry.seed}")
        true = f"true {mean(scores):.4f} ({min(scores):.4f}..{max(scores):.4f})"
    return (
        f"{entry.who:20} seed {entry.seed}  {entry.wall:6.0f} s  workers {answer.workers:18} "
        f"{answer.complete:3} complete {answer.stopped:3} stopped {answer.epochs:4} epochs  "
        f"validation {answer.validation:.4f}  {true}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each search."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "one":
        print(
            search(
                given.who, given.seed, given.trials, given.seconds or None, given.device
            ).to_json()
        )
        return
    if given.seconds is not None and given.device != "cpu":
        parser.error(
            "the peers of the second part are measured on the CPU alone: leave out --device or"
            " --seconds"
        )
    _compare(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("one")
    one.add_argument("who")
    one.add_argument("seed", type=int)
    one.add_argument("trials", type=int)
    one.add_argument("seconds", type=float)
    one.add_argument("--device", default="cpu")
    parser.add_argument(
        "--data-root", type=Path, help="with MNIST below it; without, no answer is judged"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--trials", type=int, default=100, help="of Optuna's example style at most, as it comes"
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds of it at most, as it comes"
    )
    parser.add_argument(
        "--share",
        type=float,
        nargs="*",
        default=[0.1],
        help="of its wall time, for hypersearch; a search for each",
    )
    parser.add_argument(
        "--hypersearch", default="hypersearch autoxauto", help="'hypersearch WORKERSxTHREADS'"
    )
    parser.add_argument(
        "--seconds", type=float, help="of each search of the second part, start included"
    )
    parser.add_argument(
        "--device", default="cpu", help="as the command line of hypersearch takes it"
    )
    return parser


def _compare(given: argparse.Namespace) -> None:
    """Optuna's example style against hypersearch at shares of its wall time, then all that are
    installed at the same wall time.
    """
    judge = None if given.data_root is None else Judge.open(given.data_root, cache_root())
    installed = {name: package for name, package in PEERS.items() if find_spec(package) is not None}
    print(
        machine(
            "hypersearch",
            "torch",
            "optuna",
            *(package.replace("_", "-") for package in installed.values()),
        )
    )
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        theirs = run("optuna-example", seed, given.trials, given.timeout, given.device)
        print(judged(judge, theirs), flush=True)
        for share in given.share:
            own = run(
                given.hypersearch,
                seed,
                MOST_TRIALS,
                share * theirs.wall - START_SECONDS,
                given.device,
            )
            print(
                f"{judged(judge, own)}  in {own.wall / theirs.wall:.3f} of its wall time",
                flush=True,
            )
        if given.seconds is not None:
            for who in (given.hypersearch, *installed):
                entry = run(who, seed, MOST_TRIALS, given.seconds - START_SECONDS, given.device)
                print(judged(judge, entry), flush=True)


if __name__ == "__main__":
    main()
