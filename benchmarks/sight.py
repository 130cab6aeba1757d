"""What it costs a search that its sampler looks at some of a large study, on a surrogate of the
recorded curves: no network is trained.

As benchmarks.samplers, with studies that are a twentieth of large ones and a twentieth of what a
sampler looks at, so that the same share of the trials is out of its sight.
"""

import argparse
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, create_trial

from benchmarks.figures import machine
from benchmarks.recorded_curves import CURVES, WIDER_CURVES, Recorded
from benchmarks.samplers import VALIDATION_IMAGES, Surrogate
from search.algorithms.samplers import build_sampler, draw
from search.spec.reading import parse_spec
from storage.sampled_trials import BEST, OTHERS, number_hash

SHARE = 20
AFTER = (100, 200, 300)


def in_sight(finished: Sequence[FrozenTrial], best: int, others: int) -> list[FrozenTrial]:
    """As storage.sampled_trials chooses them; all where there are no more."""
    if len(finished) <= best + others:
        return list(finished)
    first = sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))[:best]
    numbers = {trial.number for trial in first}
    rest = [trial for trial in finished if trial.number not in numbers]
    rest.sort(key=lambda trial: number_hash(trial.number))
    return sorted([*first, *rest[:others]], key=lambda trial: trial.number)


def search(seed: int, surrogate: Surrogate, sees_all: bool) -> list[float]:
    """What the trial with the best value is worth after each of AFTER."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec, noise = parse_spec({"study": {"seed": seed}}), random.Random(seed)
    finished: list[FrozenTrial] = []
    best, found = (float("-inf"), 0.0), []
    for number in range(AFTER[-1]):
        seen = finished if sees_all else in_sight(finished, BEST // SHARE, OTHERS // SHARE)
        study = optuna.create_study(direction="maximize", sampler=RandomSampler())
        study.add_trials(seen)
        study.ask()
        study.sampler = build_sampler(spec, number)
        drawn = draw(spec.space, study, study.trials[-1], {})
        worth = surrogate.accuracy(drawn.values)
        value = noise.gauss(worth, (worth * (1 - worth) / VALIDATION_IMAGES) ** 0.5)
        trial = create_trial(
            params=dict(drawn.values), distributions=drawn.distributions, value=value
        )
        trial.number = number
        finished.append(trial)
        best = max(best, (value, worth))
        if number + 1 in AFTER:
            found.append(best[1])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each way to look, and the difference study by study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    pools = [Recorded.read(file) for file in (CURVES, WIDER_CURVES)]
    surrogate = Surrogate.fit([curve for pool in pools for curve in pool.curves], pools[0].epochs)
    surrogate.forest.set_params(n_jobs=1)
    print(machine("hypersearch", "optuna", "scikit-learn"))
    print(
        f"the best {BEST // SHARE} and {OTHERS // SHARE} others of {AFTER[-1]} trials;"
        f" {given.studies} studies; worth of the best trial after {AFTER}"
    )
    with ProcessPoolExecutor(given.processes) as processes:
        all_seen, some_seen = (
            list(
                processes.map(
                    partial(search, surrogate=surrogate, sees_all=sees_all), range(given.studies)
                )
            )
            for sees_all in (True, False)
        )
    for name, rows in (("sees all", all_seen), ("sees some", some_seen)):
        means = [statistics.mean(row[at] for row in rows) for at in range(len(AFTER))]
        print(f"{name:12}" + "".join(f"{mean:10.4f}" for mean in means))
    for at, count in enumerate(AFTER):
        lost = [one[at] - other[at] for one, other in zip(all_seen, some_seen, strict=True)]
        half = 1.96 * statistics.stdev(lost) / len(lost) ** 0.5
        mean = statistics.mean(lost)
        print(f"lost after {count}: {mean:+.4f} ({mean - half:+.4f}..{mean + half:+.4f})")


if __name__ == "__main__":
    main()
