"""Whether intervals hold the truth where each seed is judged on a fold of its own."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.special import ndtr

from benchmarks.inference.cell import Cell, Figure
from benchmarks.inference.intervals import classes_of, softplus
from lab.made_up_folds import Divided
from lab.made_up_runs import IMAGE_VARIANCE, Networks
from objectives.data.config import fold_of_seed
from objectives.data.folds import Folds
from search.analysis.inference.components import quantile
from search.analysis.inference.resplit import (
    ResplitRuns,
    parts_of,
    parts_of_pair,
    resplit_best_set,
    resplit_estimate,
)
from search.analysis.inference.runs import Runs, accuracy, balanced_accuracy, loss

MEAN, APART = "mean", "difference"
TAIL = 0.025


def resplit(
    share: float,
    seed_spread: float,
    images: int,
    training: float,
    folds: int,
    runs: int,
    low: float,
) -> Cell:
    """Three configurations that are equally good over all seeds and all training images, which move
    a run `training` times as much as its seed does.
    """
    # The spread is first of runs that have training images of their own.
    networks = Networks(share, seed_spread * np.sqrt(1 + training**2))
    networks.seed_deviation /= np.sqrt(1 + training**2)
    moved = training * networks.seed_deviation
    latent = np.sqrt(1 + IMAGE_VARIANCE + networks.seed_deviation**2 + moved**2 / folds)

    def draw(random: np.random.Generator) -> Sequence[float]:
        divided = Divided(random, images, folds)
        validations = divided.validations(runs)
        arms, here = [], []
        for _ in range(3):
            margins = networks.margins(random, divided.common)
            lessons = divided.lessons(random, moved)
            found = divided.runs(random, networks, margins, lessons, validations)
            arms.append(
                ResplitRuns({seed: accuracy(each) for seed, each in enumerate(found)}, folds)
            )
            here.append(float(ndtr((networks.centre + divided.lasting(lessons)) / latent)))
        interval = resplit_estimate(arms[0]).new_images
        assert interval is not None
        pair, parts = parts_of_pair(arms[0], arms[1]), parts_of(arms[0])
        corrected = quantile(runs - 1, TAIL)
        corrected *= (parts.run_variance * (1 / runs + 1 / (folds - 1))) ** 0.5
        other_method = (abs(parts.mean - share) <= corrected, corrected)
        return (
            interval.holds(here[0]),
            abs(pair.mean - (here[0] - here[1])) <= pair.half_width(TAIL),
            interval.holds(share),
            abs(pair.mean) <= pair.half_width(TAIL),
            1 - float(np.mean(resplit_best_set(arms).may_be_best)),
            parts.half_width(TAIL),
            pair.half_width(TAIL),
            *(other_method if training != 1.0 else (np.nan, np.nan)),
        )

    figures = (
        Figure(MEAN, 93.0),
        Figure(APART, 93.0),
        Figure(f"{MEAN}, other training images", low),
        Figure(f"{APART}, other training images", low),
        Figure("true best thrown out", high=6 if low > 0 else np.inf),
        Figure("half-width of the mean", unit="points"),
        Figure("half-width of the difference", unit="points"),
        Figure("mean, other training images, corrected resampled t"),
        Figure("half-width of that", unit="points"),
    )
    name = f"resplit, {share:.0%} of {images} images, K {folds}, n {runs}"
    if training != 1.0:
        name += f", training images count {training:g} times as much as seeds"
    return Cell(name, 1500, figures, draw)


def cells() -> list[Cell]:
    """Where training images move a run as much as its seed does, which is more than was seen; not
    at all; and three times as much.
    """
    high, middle, small = (
        partial(resplit, share, spread, images)
        for share, spread, images in ((0.98, 0.0015, 4000), (0.70, 0.005, 2500), (0.95, 0.003, 400))
    )
    usual = [
        *(high(1.0, *each, 93.0) for each in ((5, 3), (5, 5), (10, 5), (5, 10))),
        middle(1.0, 5, 5, 93.0),
        *(small(1.0, *each, 93.0) for each in ((5, 5), (10, 10))),
    ]
    even, uneven = (80,) * 10, (200, 160, 130, 100, 80, 50, 35, 25, 12, 8)
    return [
        *usual,
        high(0.0, 5, 5, 93.0),
        high(3.0, 5, 5, -np.inf),
        other_metrics("ten even classes", even, 5, 5),
        other_metrics("ten uneven classes", uneven, 5, 5),
    ]


def other_metrics(name: str, counts: tuple[int, ...], folds: int, runs: int) -> Cell:
    """Balanced accuracy, macro F1 and loss of the same runs, whatever they were trained on."""

    def draw(random: np.random.Generator) -> Sequence[float]:
        classes = classes_of(counts)
        networks, labels = classes.networks, classes.labels
        divided = Folds(labels, None, folds, int(random.integers(2**32)))
        common = random.standard_normal(len(labels))
        margins = [networks.margins(random, common) for _ in range(2)]
        taken = classes.taken_for(random, labels)
        arms = [[dict[int, Runs]() for _ in margins] for _ in range(3)]
        for seed in range(runs):
            own = divided.split(fold_of_seed(seed, folds))[1]
            for place, each in enumerate(margins):
                found = networks.answers(random, each[own], networks.seeds(random, 1))
                balanced, f1, losses = (by_arm[place] for by_arm in arms)
                balanced[seed] = balanced_accuracy(found > 0, labels[own])
                f1[seed] = classes.macro_f1(random, found, labels[own], taken[own])
                losses[seed] = loss(softplus(-found))
        truths = (float(classes.shares.mean()), classes.f1, classes.loss)
        held: list[float] = []
        for (first, second), truth in zip(arms, truths, strict=True):
            one, other = ResplitRuns(first, folds), ResplitRuns(second, folds)
            interval, pair = resplit_estimate(one).new_images, parts_of_pair(one, other)
            assert interval is not None
            held += [interval.holds(truth), abs(pair.mean) <= pair.half_width(TAIL)]
        return held

    figures = [
        Figure(f"{metric}: {what}", 93.0)
        for metric in ("balanced accuracy", "macro F1", "loss")
        for what in (MEAN, APART)
    ]
    return Cell(
        f"resplit, {name}, {sum(counts)} images, K {folds}, n {runs}", 600, tuple(figures), draw
    )
