"""Syne Tune with its ASHA: random configurations, hypersearch's trainer as the objective, a process
for each trial.
"""

import argparse
import logging
import os
import tempfile
from pathlib import Path

from benchmarks.peers.contest import EPOCHS, Answer, accuracies, drawn
from lab.checkout import environment
from search.space.domains import Value


def search(seed: int, trials: int, seconds: float | None) -> Answer:
    """`Tuner.run` for so many trials, or so long."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYNETUNE_FOLDER"] = folder
        # A trial is this file, run as a script.
        os.environ |= environment()
        from syne_tune import StoppingCriterion, Tuner
        from syne_tune.backend import LocalBackend
        from syne_tune.config_space import randint
        from syne_tune.experiments import load_experiment
        from syne_tune.optimizer.baselines import ASHA

        logging.getLogger().setLevel(logging.ERROR)
        space = {"configuration": randint(1, 2**31 - 1)}
        tuner = Tuner(
            trial_backend=LocalBackend(entry_point=str(Path(__file__).resolve())),
            scheduler=ASHA(
                space,
                metric="accuracy",
                time_attr="epoch",
                max_t=EPOCHS,
                do_minimize=False,
                random_seed=seed,
                # The point is the first of the search space: see FIRST below.
                points_to_evaluate=[{"configuration": 1}],
            ),
            stop_criterion=StoppingCriterion(
                max_wallclock_time=seconds, max_num_trials_finished=trials
            ),
            n_workers=cores,
            sleep_time=0.5,
            save_tuner=False,
        )
        tuner.run()
        found = load_experiment(tuner.name).results
    tables = [table for _, table in found.groupby("trial_id")]
    whole = [table for table in tables if table["epoch"].max() == EPOCHS]
    last = [table.sort_values("epoch").iloc[-1] for table in whole]
    if not whole:
        raise RuntimeError(f"no trial was complete within {seconds} s")
    best = max(last, key=lambda row: row["accuracy"])
    return Answer(
        _values(int(best["config_configuration"])),
        float(best["accuracy"]),
        len(whole),
        len(tables) - len(whole),
        len(found),
        f"{cores} of 1 thread",
    )


def _values(configuration: int) -> dict[str, Value]:
    return drawn(0 if configuration == 1 else configuration)


def _main() -> None:
    from syne_tune import Reporter

    parser = argparse.ArgumentParser()
    parser.add_argument("--configuration", type=int, required=True)
    given, _ = parser.parse_known_args()
    report = Reporter()
    for epoch, accuracy in enumerate(
        accuracies(_values(given.configuration), given.configuration, threads=1), start=1
    ):
        report(epoch=epoch, accuracy=accuracy)


if __name__ == "__main__":
    _main()
