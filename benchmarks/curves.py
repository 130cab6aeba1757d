"""Real learning curves of the default space on mnist-5k, every trial trained to its end: recorded
once, for replays.

`record` runs the study (resumable) and writes the curves; `judge` trains the configurations that
some pruner of benchmarks/pruning.py returns again (resumable), and writes how good they truly are;
`show` prints what a configuration drawn at random comes to, in the default space and in the wider
one that it was before.
"""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import machine, percentile
from benchmarks.peers.contest import cache_root
from benchmarks.pruning import returned
from benchmarks.recorded_curves import (
    CURVES,
    TRUE_SCORES,
    WIDER_CURVES,
    Curve,
    Recorded,
    read_true_scores,
)
from benchmarks.true_scores import Judge
from lab.checkout import ROOT, environment
from search.analysis.comparison import compare_study
from search.space.configuration import Configuration
from storage.engine import open_database

STUDY = "curves"


def record(folder: Path, trials: int, workers: int, threads: int, output: Path) -> None:
    """Runs the study in `folder`, or goes on with it, and writes the curves to `output`."""
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder.resolve()}/{STUDY}.db"
    command = [
        sys.executable,
        "-P",
        "-m",
        "hypersearch",
        "run",
        "--study",
        STUDY,
        "--storage",
        url,
        "-q",
    ]
    command += ["--dataset", "mnist-5k", "--sampler", "random", "--pruner", "none", "--seed", "1"]
    command += ["--trials", str(trials), "--workers", str(workers), "--threads", str(threads)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
    with open_database(url) as database:
        found = compare_study(database, STUDY)
    curves = [
        Curve(
            trial.number,
            {name: value for name, value in trial.parameters.items() if value is not None},
            tuple(round(epoch.validation_accuracy, 6) for epoch in trial.epochs),
            tuple(round(epoch.validation_loss, 4) for epoch in trial.epochs),
            tuple(round(epoch.seconds, 3) for epoch in trial.epochs),
        )
        for trial in sorted(found.trials, key=lambda trial: trial.number)
        if trial.state in ("complete", "pruned")
    ]
    about = f"{machine('hypersearch', 'torch', 'optuna')}, {workers} workers of {threads} threads"
    output.parent.mkdir(exist_ok=True)
    Recorded(about, found.spec.training.epochs, tuple(curves)).write(output)
    print(f"{len(curves)} curves, {sum(len(curve.accuracy) for curve in curves)} epochs")


def judge(data_root: Path, threads: int | None) -> None:
    """Scores every configuration that a replay returns, but those that have been."""
    recorded, scores = Recorded.read(), read_true_scores()
    missing = sorted(returned(recorded) - set(scores))
    print(f"{len(missing)} configurations to train again, {len(scores)} are done", flush=True)
    judging = Judge.open(data_root, cache_root(), threads)
    by_number = {curve.number: curve for curve in recorded.curves}
    for number in missing:
        hyperparameters = Configuration(by_number[number].params).hyperparameters()
        scores[number] = judging.scores(hyperparameters, recorded.epochs, f"configuration {number}")
        TRUE_SCORES.write_text(
            json.dumps({str(key): scores[key] for key in sorted(scores)}, indent=0) + "\n"
        )
        print(number, by_number[number].accuracy[-1], scores[number], flush=True)


def show() -> None:
    """Prints a line for each learning-rate third of an optimizer, and for each space as a whole."""
    for name, file in (("wider", WIDER_CURVES), ("default", CURVES)):
        recorded = Recorded.read(file)
        last = {
            curve.number: curve.accuracy[-1] if len(curve.accuracy) == recorded.epochs else 0.0
            for curve in recorded.curves
        }
        print(f"{name} space: {_quantiles(list(last.values()))}; {recorded.machine}")
        for best_of in (10, 40):
            drawn = [
                max(random.Random(seed).sample(list(last.values()), min(best_of, len(last))))
                for seed in range(1000)
            ]
            print(f"  best of {best_of}: {_quantiles(drawn)}")
        for key in sorted(
            {
                key
                for curve in recorded.curves
                for key in curve.params
                if key.endswith("learning_rate")
            }
        ):
            _show_thirds(recorded, last, key)
        for key in ("dropout", "l1", "label_smoothing"):
            _show_thirds(recorded, last, key)


def _show_thirds(recorded: Recorded, last: Mapping[int, float], key: str) -> None:
    having = sorted(
        (float(curve.params[key]), last[curve.number])
        for curve in recorded.curves
        if key in curve.params
    )
    for third in range(3):
        part = having[third * len(having) // 3 : (third + 1) * len(having) // 3]
        if part:
            print(
                f"  {key} {part[0][0]:.2g} to {part[-1][0]:.2g}:"
                f" {_quantiles([score for _, score in part])}"
            )


def _quantiles(values: Sequence[float]) -> str:
    low, quarter, median, high = (percentile(values, percent) for percent in (10, 25, 50, 90))
    return (
        f"median {median:.4f}, 10 % below {low:.4f}, 25 % below {quarter:.4f}, 10 % above"
        f" {high:.4f}, best {max(values):.4f} (n = {len(values)})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Records, judges or shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument(
        "--folder", type=Path, required=True, help="where the database lies; kept"
    )
    recording.add_argument("--trials", type=int, default=160)
    recording.add_argument("--workers", type=int, default=1)
    recording.add_argument("--threads", type=int, default=2)
    recording.add_argument("--output", type=Path, default=CURVES)
    judging = commands.add_parser("judge")
    judging.add_argument("--data-root", type=Path, required=True, help="with MNIST below it")
    judging.add_argument("--threads", type=int)
    commands.add_parser("show")
    given = parser.parse_args(arguments)
    if given.command == "record":
        record(given.folder, given.trials, given.workers, given.threads, given.output)
    elif given.command == "judge":
        judge(given.data_root, given.threads)
    else:
        show()


if __name__ == "__main__":
    main()
