"""What each sampler finds within 10, 20 and 40 trials, on a surrogate of the recorded curves: no
network is trained.

The surrogate (Eggensperger et al. 2015, "Efficient Benchmarking of Hyperparameter Optimizers via
Surrogates") is a forest of extremely randomized trees that was fitted to the last validation
accuracy of every recorded configuration. A made-up study sees its prediction with the noise of a
validation split of 800 images, and returns the trial with the best value; what that is worth is the
prediction itself. Nothing is pruned. A smooth surrogate flatters samplers that learn from few
trials: read the order, not the distances. GP is not among them: it takes minutes a study.
"""

import argparse
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, create_trial
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold, cross_val_predict

from benchmarks.figures import machine, method_text
from benchmarks.recorded_curves import CURVES, WIDER_CURVES, Curve, Recorded
from search.algorithms.samplers import build_sampler, draw
from search.space.domains import Range, Value
from search.space.flat import flat_domains
from search.space.search_space import SearchSpace
from search.spec.document import Toml
from search.spec.reading import parse_spec

STUDIES, TRIALS = 50, 40
AFTER = (10, 20, 40)
VALIDATION_IMAGES = 800
TREES = 100
# Of ten classes one is guessed right so often: what diverged is no worse.
WORST_ACCURACY = 0.1

SAMPLERS: tuple[Mapping[str, Toml], ...] = (
    {"name": "random"},
    {"name": "qmc"},
    {"name": "tpe"},
    {"name": "tpe", "startup_trials": 10},
    {"name": "tpe", "startup": "random"},
    {"name": "tpe", "startup": "random", "startup_trials": 10},
    {"name": "tpe", "startup": "random", "startup_trials": 20},
)


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Predicts the accuracy of a configuration of the default space.

    >>> Surrogate.fit(curves, epochs=8).accuracy(configuration)        # doctest: +SKIP
    0.9631
    """

    forest: ExtraTreesRegressor
    # Spearman's correlation is of predictions for curves that were left out in turn.
    rank_correlation: float

    @classmethod
    def fit(cls, curves: Sequence[Curve], epochs: int) -> "Surrogate":
        """To what each curve came to; those of one number share all but their ranges, and are left
        out together.
        """
        features = np.array([_features(curve.params) for curve in curves])
        reached = [
            curve.accuracy[-1] if len(curve.accuracy) == epochs else WORST_ACCURACY
            for curve in curves
        ]
        targets = _log_odds(np.clip(reached, WORST_ACCURACY, 0.999))
        forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=0)
        left_out = cross_val_predict(
            forest, features, targets, groups=[curve.number for curve in curves], cv=GroupKFold(10)
        )
        predicted, true = (np.argsort(np.argsort(values)) for values in (left_out, targets))
        return cls(forest.fit(features, targets), float(np.corrcoef(predicted, true)[0, 1]))

    def accuracy(self, configuration: Mapping[str, Value]) -> float:
        """From 0 to 1."""
        (predicted,) = self.forest.predict([_features(configuration)])
        return float(1 / (1 + np.exp(-predicted)))


def _log_odds(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(shares / (1 - shares))


_FLAT = flat_domains(SearchSpace.default())


def _features(values: Mapping[str, Value]) -> list[float]:
    # A column for each option and each number; the learning rate once more, whatever the optimizer
    # it belongs to.
    found: list[float] = []
    for name, domain in _FLAT.items():
        value = values.get(name, domain.stand_in)
        if isinstance(domain, Range):
            found.append(domain.share_of(float(value)))
            if name == f"{values['optimizer']}.learning_rate":
                rate = found[-1]
        else:
            found.extend(float(value == option) for option in domain.options)
    return [*found, rate]


def search(
    seed: int, sampler: Mapping[str, Toml], surrogate: Surrogate, trials: int
) -> tuple[list[float], float]:
    """What the trial with the best value so far is worth, after each trial; and the seconds that
    the sampler took.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = parse_spec({"study": {"sampler": {**sampler}, "seed": seed}})
    noise, seconds = random.Random(seed), 0.0
    finished: list[FrozenTrial] = []
    standings: list[tuple[float, float]] = []
    for number in range(trials):
        started = time.perf_counter()
        study = optuna.create_study(direction="maximize", sampler=RandomSampler())
        study.add_trials(finished)
        study.ask()
        study.sampler = build_sampler(spec, number)
        found = draw(spec.space, study, study.trials[-1], {})
        seconds += time.perf_counter() - started
        worth = surrogate.accuracy(found.values)
        seen = noise.gauss(worth, (worth * (1 - worth) / VALIDATION_IMAGES) ** 0.5)
        finished.append(
            create_trial(params=dict(found.values), distributions=found.distributions, value=seen)
        )
        standings.append((seen, worth))
    return [worth for _, worth in accumulate(standings, max)], seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each sampler."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    pools = [Recorded.read(file) for file in (CURVES, WIDER_CURVES)]
    surrogate = Surrogate.fit([curve for pool in pools for curve in pool.curves], pools[0].epochs)
    print(machine("hypersearch", "optuna", "scikit-learn"))
    print(
        f"surrogate of {sum(len(pool.curves) for pool in pools)} configurations, rank correlation"
        f" with those left out {surrogate.rank_correlation:.2f}; {given.studies} studies"
    )
    print(
        f"{'sampler':48}"
        + "".join(f"{f'after {count}':>26}" for count in AFTER)
        + f"{'seconds a study':>18}"
    )
    with ProcessPoolExecutor(given.processes) as processes:
        for sampler in SAMPLERS:
            one = partial(search, sampler=sampler, surrogate=surrogate, trials=TRIALS)
            found = list(processes.map(one, range(given.studies)))
            cells = "".join(
                f"{_interval([worths[count - 1] for worths, _ in found]):>26}" for count in AFTER
            )
            seconds = statistics.median(seconds for _, seconds in found)
            print(f"{method_text(sampler):48}{cells}{seconds:>18.1f}", flush=True)


def _interval(values: Sequence[float]) -> str:
    mean, half = statistics.mean(values), 1.96 * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.4f} ({mean - half:.4f}..{mean + half:.4f})"


if __name__ == "__main__":
    main()
