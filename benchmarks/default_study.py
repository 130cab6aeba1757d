"""What the built-in default study finds on a data set, by seed: the best value, and the trials and
time it took.

Resumable: run again with the same --folder, it goes on where it stood.
"""

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import machine, spread
from benchmarks.peers.contest import cache_root
from benchmarks.true_scores import Judge
from lab.checkout import ROOT, environment
from search.analysis.comparison import Comparison, compare_study
from search.space.configuration import Configuration
from storage.engine import open_database


def study(
    seed: int, folder: Path, dataset: str, trials: int, threads: int, changes: Sequence[str]
) -> Comparison:
    """Runs the study of a seed, as a user would, to its end."""
    name, url = f"default-{seed}", f"sqlite:///{folder}/default-{seed}.db"
    command = [
        sys.executable,
        "-P",
        "-m",
        "hypersearch",
        "run",
        "--study",
        name,
        "--storage",
        url,
        "-q",
    ]
    command += [
        "--dataset",
        dataset,
        "--seed",
        str(seed),
        "--trials",
        str(trials),
        "--threads",
        str(threads),
    ]
    command += ["--artifact-root", str(folder / "artifacts")]
    command += [argument for change in changes for argument in ("--set", change)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
    with open_database(url) as database:
        return compare_study(database, name)


def trials_until(found: Comparison, target: float) -> int | None:
    """How many trials had been finished when the first complete one reached the target."""
    finished = [
        trial
        for trial in found.trials
        if trial.state in ("complete", "pruned") and trial.ended_ms is not None
    ]
    ordered = sorted(finished, key=lambda trial: trial.ended_ms or 0)
    for count, trial in enumerate(ordered, start=1):
        if trial.state == "complete" and trial.value is not None and trial.value >= target:
            return count
    return None


def judge_answers(answers: Sequence[Comparison], data_root: Path) -> None:
    """Trains what each study returned again, and scores it on images that no search saw."""
    judge = Judge.open(data_root, cache_root())
    true = []
    for seed, found in enumerate(answers):
        if found.incumbent is not None:
            values = {
                name: value
                for name, value in found.incumbent.parameters.items()
                if value is not None
            }
            options = Configuration(values).hyperparameters()
            scores = judge.scores(options, found.spec.training.epochs, f"answer of seed {seed}")
            true.append(statistics.mean(scores))
            print(
                f"seed {seed}: true score {true[-1]:.4f} ({min(scores):.4f}..{max(scores):.4f})",
                flush=True,
            )
    print(f"true scores {spread(true, 4)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line a seed and the whole; 1 where fewer than `--needed` seeds reach the target."""
    given = _parser().parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    print(machine("hypersearch", "torch", "optuna"))
    changes = "".join(f", {change}" for change in given.set)
    print(f"{given.dataset}, {given.trials} trials{changes}", end=", ")
    print(f"{given.threads} threads, {given.at_once} studies at once", flush=True)
    run = partial(
        study,
        folder=given.folder.resolve(),
        dataset=given.dataset,
        trials=given.trials,
        threads=given.threads,
        changes=given.set,
    )
    with ThreadPoolExecutor(given.at_once) as studies:
        answers = [
            _told(seed, found, given.target)
            for seed, found in enumerate(studies.map(run, range(given.seeds)))
        ]
    best = [answer.value for answer in answers]
    reached = sum(value >= given.target for value in best)
    print(
        f"best {spread(best, 4)}; epochs {spread([each.epochs for each in answers], 0)};"
        f" minutes of training {spread([each.minutes for each in answers], 1)}"
    )
    print(f"{reached} of {given.seeds} seeds reach {given.target} within {given.trials} trials")
    if given.data_root is not None:
        judge_answers([answer.found for answer in answers], given.data_root)
    return int(reached < given.needed)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a study came to."""

    found: Comparison
    # The value is the best trial's, and -inf where no trial is complete.
    value: float
    epochs: float
    # The minutes are those of training, added up over all trials.
    minutes: float


def _told(seed: int, found: Comparison, target: float) -> Answer:
    """Prints what the study of a seed came to."""
    best = found.incumbent
    value = -math.inf if best is None or best.value is None else best.value
    minutes = sum(epoch.seconds for trial in found.trials for epoch in trial.epochs) / 60
    epochs = float(sum(len(trial.epochs) for trial in found.trials))
    until = trials_until(found, target)
    print(
        f"seed {seed}: {value:.4f}, {found.record.complete} complete, {found.record.pruned}"
        f" pruned, {epochs:.0f} epochs, {minutes:.1f} min of training,"
        f" {target} after {until} trials",
        flush=True,
    )
    return Answer(found, value, epochs, minutes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the databases lie; kept")
    parser.add_argument("--dataset", default="mnist-5k")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="as `hypersearch run` takes it",
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--target", type=float, default=0.975)
    parser.add_argument("--needed", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=1, help="studies")
    parser.add_argument(
        "--data-root",
        type=Path,
        help="with MNIST below it: the answers are judged by true scores too",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
