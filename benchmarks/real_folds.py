"""Whether intervals that include the split hold for networks that are trained on wholly other
images: small networks of random features, which are a seed's, and a fitted last layer, on images
drawn from MNIST's 60,000.

Prints how often the intervals hold the mean over many such draws, and how much the images that are
trained on move a network beside its seed.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import machine
from objectives.data.cache import open_searchable
from objectives.data.config import DataConfig, fold_of_seed
from objectives.data.folds import Folds
from search.analysis.inference.resplit import ResplitRuns, parts_of_pair, resplit_estimate
from search.analysis.inference.runs import accuracy
from search.machine.folders import needed
from search.machine.settings import Settings

FEATURES = 200
# The two configurations that are compared have these.
PENALTIES = (1e-3, 3e-2)
# So many images say what a network is worth.
OTHERS = 3000
TAIL = 0.025

# The shape is (N, pixels).
Pixels = NDArray[np.float32]
# The shape is (N,).
Classes = NDArray[np.int64]


def network(
    pixels: Pixels, classes: Classes, penalty: float, seed: int
) -> Callable[[Pixels], Classes]:
    """Random features and a ridge regression on the classes."""
    random = np.random.default_rng(seed)
    weights = 0.2 * random.standard_normal((pixels.shape[1], FEATURES), np.float32)
    biases = 0.5 * random.standard_normal(FEATURES, np.float32)
    hidden = np.maximum(pixels @ weights + biases, 0)
    wanted = np.eye(10, dtype=np.float32)[classes]
    square = hidden.T @ hidden + penalty * len(hidden) * np.eye(FEATURES, dtype=np.float32)
    last = np.linalg.solve(square, hidden.T @ wanted)
    return lambda given: (np.maximum(given @ weights + biases, 0) @ last).argmax(axis=1)


@dataclass(frozen=True)
class Drawn:
    """What one draw of images has come to, for both configurations."""

    arms: list[ResplitRuns]
    # The shape is (configurations, runs).
    worths: NDArray[np.float64]


def drawn(
    pixels: Pixels, classes: Classes, images: int, folds: int, seeds: int, draw: int
) -> Drawn:
    """As `confirm --resplit` trains and judges, on images drawn anew."""
    random = np.random.default_rng(draw)
    order = random.permutation(len(classes))
    own, others = order[:images], order[images : images + OTHERS]
    divided = Folds(classes[own], None, folds, draw)
    worths = np.zeros((len(PENALTIES), seeds))
    found = []
    for place, penalty in enumerate(PENALTIES):
        runs = {}
        for index in range(seeds):
            train, validation = (own[each] for each in divided.split(fold_of_seed(index, folds)))
            answers = network(pixels[train], classes[train], penalty, draw * 1000 + index)
            runs[index] = accuracy((answers(pixels[validation]) == classes[validation])[None])
            worths[place, index] = (answers(pixels[others]) == classes[others]).mean()
        found.append(ResplitRuns(runs, folds))
    return Drawn(found, worths)


def judge(name: str, found: list[Drawn]) -> None:
    """Prints what holds."""
    # The shape is (draws, configurations, runs).
    worths = np.stack([each.worths for each in found])
    share, other = worths.mean(axis=(0, 2))
    means = [resplit_estimate(each.arms[0]).new_images for each in found]
    pairs = [parts_of_pair(*each.arms) for each in found]
    held = np.mean([each is not None and each.holds(share) for each in means])
    apart = np.mean([abs(each.mean - (share - other)) <= each.half_width(TAIL) for each in pairs])
    runs = worths[:, 0]
    of_runs = float(runs.var(axis=1, ddof=1).mean())
    noise = share * (1 - share) / OTHERS
    of_draws = float(runs.mean(axis=1).var(ddof=1)) - of_runs / runs.shape[1] - noise
    print(
        f"| {name} | {100 * share:.1f} | {100 * held:.1f} | {100 * apart:.1f} |"
        f" {100 * of_runs**0.5:.2f} | {100 * max(0.0, of_draws) ** 0.5:.2f} | {len(found)} |",
        flush=True,
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--data-root", type=Path, required=True, help="where mnist lies")
    parser.add_argument("--draws", type=int, default=150)
    given = parser.parse_args()
    cache = needed(Settings.from_environment(os.environ).cache_root)
    opened = open_searchable(DataConfig("mnist"), given.data_root, cache, lambda done, total: None)
    images = np.asarray(opened.arrays.images).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    pixels = (images.reshape(len(images), -1) / 255).astype(np.float32)
    print(machine("numpy"))
    print(
        "\n| images, folds, seeds | accuracy, % | mean held, % | difference held, % |"
        " runs on the same images vary by, points | draws of images vary by, points | draws |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in (500, 2000):
        for folds, seeds in ((5, 5), (5, 10), (10, 5)):
            found = [
                drawn(pixels, opened.arrays.labels, count, folds, seeds, draw)
                for draw in range(given.draws)
            ]
            judge(f"{count:,}, {folds}, {seeds}", found)


if __name__ == "__main__":
    main()
