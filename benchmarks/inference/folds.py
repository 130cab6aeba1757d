"""Whether intervals hold the truth where each seed is judged on a fold of its own."""

from collections.abc import Sequence

import numpy as np

from benchmarks.inference.cell import Cell, Figure
from lab.made_up_folds import Divided
from lab.made_up_runs import Networks
from search.analysis.inference.resplit import (
    ResplitRuns,
    parts_of,
    parts_of_pair,
    resplit_best_set,
    resplit_estimate,
)
from search.analysis.inference.runs import accuracy

MEAN, APART = "mean, the split in it", "difference, the split in it"
TAIL = 0.025


def resplit(
    share: float,
    seed_spread: float,
    training: float,
    images: int,
    folds: int,
    runs: int,
    low: float,
) -> Cell:
    """Three configurations that are equally good over all seeds and all training images."""
    # The spread is of a run that is trained on images of its own.
    networks = Networks(share, seed_spread * np.sqrt(1 + training**2))
    networks.seed_deviation /= np.sqrt(1 + training**2)

    def draw(random: np.random.Generator) -> Sequence[float]:
        divided = Divided(random, images, folds)
        validations = divided.validations(runs)
        arms = []
        for _ in range(3):
            margins = networks.margins(random, divided.common)
            found = divided.runs(random, networks, margins, training, validations)
            arms.append(
                ResplitRuns({seed: accuracy(each) for seed, each in enumerate(found)}, folds)
            )
        interval = resplit_estimate(arms[0]).new_images
        assert interval is not None
        pair = parts_of_pair(arms[0], arms[1])
        return (
            interval.holds(share),
            abs(pair.mean) <= pair.half_width(TAIL),
            1 - float(np.mean(resplit_best_set(arms).may_be_best)),
            parts_of(arms[0]).half_width(TAIL),
            pair.half_width(TAIL),
        )

    figures = (
        Figure(MEAN, low),
        Figure(APART, low),
        Figure("true best thrown out", high=6 if low > 0 else np.inf),
        Figure("half-width of the mean", unit="points"),
        Figure("half-width of the difference", unit="points"),
    )
    name = f"resplit, {share:.0%} of {images} images, K {folds}, n {runs}"
    name += f", training images move a run {training:g} times as much as seeds"
    return Cell(name, 600, figures, draw)


def cells() -> list[Cell]:
    """Where training images move a run as little as was seen, and three times as much as seeds."""
    usual = [
        resplit(share, spread, training, images, folds, runs, 93.0)
        for share, spread, images in ((0.98, 0.0015, 4000), (0.70, 0.005, 2500), (0.95, 0.003, 400))
        for folds, runs in ((5, 3), (5, 5), (6, 5), (5, 10), (10, 5))
        for training in (0.0, 1.0)
    ]
    return [*usual, resplit(0.98, 0.0015, 3.0, 4000, 5, 5, -np.inf)]
