"""Ray Tune with its ASHA: random configurations, hypersearch's trainer as the objective, a core for
each trial.
"""

import os
import tempfile

from benchmarks.peers.contest import EPOCHS, Answer, accuracies, drawn


def _trainable(config: dict[str, int]) -> None:
    from ray import tune

    for accuracy in accuracies(drawn(config["configuration"]), config["configuration"], threads=1):
        tune.report({"accuracy": accuracy})


def search(seed: int, trials: int, seconds: float | None) -> Answer:
    """`Tuner.fit` for so many trials, or so long."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import random

    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    numbers = random.Random(seed)
    configurations = [0, *(numbers.randrange(1, 2**31) for _ in range(trials - 1))]
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        ray.init(
            num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        tuner = tune.Tuner(
            _trainable,
            param_space={"configuration": tune.grid_search(configurations)},
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                scheduler=ASHAScheduler(max_t=EPOCHS),
                time_budget_s=seconds,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        frames = [result.metrics_dataframe for result in tuner.fit()]
        ray.shutdown()
    tables = [frame for frame in frames if frame is not None and len(frame) > 0]
    whole = [table for table in tables if len(table) == EPOCHS]
    if not whole:
        raise RuntimeError(f"no trial was complete within {seconds} s")
    best = max(whole, key=lambda table: table["accuracy"].iloc[-1])
    return Answer(
        drawn(int(best["config/configuration"].iloc[-1])),
        float(best["accuracy"].iloc[-1]),
        len(whole),
        len(tables) - len(whole),
        sum(len(table) for table in tables),
        f"{cores} of 1 thread",
    )
