"""Whether intervals for one configuration and for two hold the truth, for every metric."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from benchmarks.inference.cell import Cell, Figure
from lab.made_up_runs import Networks, Numbers
from search.analysis.inference.differences import difference
from search.analysis.inference.intervals import estimate
from search.analysis.inference.runs import Runs, accuracy, balanced_accuracy, loss, macro_f1

THESE, NEW, APART = "mean, these images", "mean, new images", "difference, new images"


def holds(runs: Runs, these: float, new: float) -> tuple[bool, bool]:
    """Whether both intervals of a configuration hold what is true."""
    found = estimate(runs)
    assert found.these_images is not None
    assert found.new_images is not None
    return found.these_images.holds(these), found.new_images.holds(new)


def coverage(
    share: float, seed_spread: float, runs: int, images: int, *limits: tuple[float, float]
) -> Cell:
    """Accuracy; limits for these images, for new ones, for the difference of two equals."""

    def draw(random: np.random.Generator) -> Sequence[float]:
        networks, common = Networks(share, seed_spread), random.standard_normal(images)
        margins, others = (networks.margins(random, common) for _ in range(2))
        found = accuracy(networks.runs(random, margins, runs))
        apart = difference(found, accuracy(networks.runs(random, others, runs)))
        # Both have the same images.
        assert apart.these_images is not None
        worths = networks.worth(margins).mean(), networks.worth(others).mean()
        return (
            *holds(found, worths[0], share),
            apart.new_images.holds(0.0),
            apart.these_images.holds(worths[0] - worths[1]),
        )

    names = (THESE, NEW, APART, "difference, these images")
    figures = [
        Figure(name, *pair)
        for name, pair in zip(names, [*limits, *[(-np.inf, np.inf)] * 4], strict=False)
    ]
    return Cell(f"accuracy {share:.0%}, m {images}, n {runs}", 2000, tuple(figures), draw)


def one_seed_in_six_is_poor(points: float) -> Cell:
    """The weak spot: such a seed is so many points worse than the others."""
    networks = Networks(0.98, 0.0015)
    drop = networks.seed_deviation * points / 100 / 0.0015

    def draw(random: np.random.Generator) -> Sequence[float]:
        margins = networks.margins(random, random.standard_normal(800))
        seeds = networks.seeds(random, 5) - drop * (random.random(5) < 1 / 6)
        found = accuracy(networks.answers(random, margins, seeds) > 0)
        good, poor = networks.worth(margins).mean(), networks.worth(margins - drop).mean()
        return holds(found, 5 / 6 * good + poor / 6, 0.98)[:1]

    return Cell(f"one seed in six {points:g} points worse", 2000, (Figure(THESE),), draw)


class Classes:
    """Images of ten classes, as many of each in every draw, and networks that are worse at some.

    A network that is wrong takes an image for the same other class in 7 cases of 10, in the others
    for any.
    """

    def __init__(self, counts: Sequence[int], images_for_truth: int = 400_000) -> None:
        self.labels = np.repeat(np.arange(len(counts)), counts)
        self.shares = np.linspace(0.99, 0.93, len(counts))
        self.networks = Networks(self.shares[self.labels], 0.002)
        random = np.random.default_rng(0)
        often = np.repeat(
            np.arange(len(counts)), images_for_truth // sum(counts) * np.array(counts)
        )
        whole = Networks(self.shares[often], 0.002)
        margins = whole.margins(random, random.standard_normal(len(often)))
        taken = self.taken_for(random, often)
        seeds = self.networks.seeds(random, 40)
        answers = [whole.answers(random, margins, seeds[run : run + 1]) for run in range(40)]
        self.f1 = float(
            np.mean([self.macro_f1(random, each, often, taken).values for each in answers])
        )
        self.loss = float(np.mean([softplus(-each).mean() for each in answers]))

    def taken_for(self, random: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """The class that each image is mostly mistaken for."""
        return np.asarray((labels + random.choice([1, 2, 5], len(labels))) % len(self.shares))

    def macro_f1(
        self, random: np.random.Generator, answers: Numbers, labels: np.ndarray, taken: np.ndarray
    ) -> Runs:
        """Of runs that answer so clearly."""
        classes = len(self.shares)
        any_other = (labels + random.integers(1, classes, answers.shape)) % classes
        wrong = np.where(random.random(answers.shape) < 0.7, taken, any_other)
        return macro_f1(np.where(answers > 0, labels, wrong), labels)

    def by_class(self, values: Numbers) -> float:
        """The mean over the classes."""
        counts = np.bincount(self.labels)
        return float((np.bincount(self.labels, weights=values) / counts).mean())


def softplus(values: Numbers) -> Numbers:
    """The loss of an image that is answered so unclearly: log(1 + exp(v)), with a wide scale."""
    return np.asarray(np.logaddexp(0.0, 1.5 * values))


@cache
def classes_of(counts: tuple[int, ...]) -> Classes:
    """Made when they are first needed: their truth takes seconds."""
    return Classes(counts)


def other_metrics(name: str, counts: tuple[int, ...], runs: int) -> Cell:
    """Balanced accuracy, macro F1 and loss of the same runs, with images drawn by class."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)

    def draw(random: np.random.Generator) -> Sequence[float]:
        classes = classes_of(counts)
        networks, labels = classes.networks, classes.labels
        common = random.standard_normal(len(labels))
        margins, others = (networks.margins(random, common) for _ in range(2))
        taken = classes.taken_for(random, labels)
        pairs = [
            networks.answers(random, each, networks.seeds(random, runs))
            for each in (margins, others)
        ]
        balanced = [balanced_accuracy(each > 0, labels) for each in pairs]
        f1 = [classes.macro_f1(random, each, labels, taken) for each in pairs]
        losses = [loss(softplus(-each)) for each in pairs]
        many = networks.answers(random, margins, networks.seeds(random, 200))
        spread = np.sqrt(1 + networks.seed_deviation**2)
        on_these = softplus(-(margins[:, None] + spread * nodes)) @ weights / weights.sum()
        worth = classes.by_class(networks.worth(margins))
        return (
            *holds(balanced[0], worth, float(classes.shares.mean())),
            difference(balanced[0], balanced[1]).new_images.holds(0.0),
            *holds(f1[0], classes.macro_f1(random, many, labels, taken).values.mean(), classes.f1),
            difference(f1[0], f1[1]).new_images.holds(0.0),
            *holds(losses[0], float(on_these.mean()), classes.loss),
            difference(losses[0], losses[1]).new_images.holds(0.0),
        )

    figures = [
        Figure(f"{metric}: {what}", low, high)
        for metric in ("balanced accuracy", "macro F1", "loss")
        for what, low, high in ((THESE, 93.0, np.inf), (NEW, 93.0, np.inf), (APART, 93.0, np.inf))
    ]
    return Cell(f"{name}, m {sum(counts)}, n {runs}", 600, tuple(figures), draw)


def cells() -> list[Cell]:
    """Accuracy from 70 to 99 % on 200 to 6,000 images, the weak spot, and the other metrics."""
    usual = [(93.0, np.inf)] * 3
    found = [
        coverage(share, spread, runs, images, *usual)
        for share, spread, images in (
            (0.99, 0.0015, 200),
            (0.98, 0.0015, 800),
            (0.70, 0.005, 1000),
            (0.98, 0.0015, 6000),
        )
        for runs in (3, 5, 10)
        if (images, runs) != (800, 5)
    ]
    found.insert(0, coverage(0.98, 0.0015, 5, 800, (93.5, 96.5), (94.5, 98), (95, 98)))
    found += [one_seed_in_six_is_poor(points) for points in (0.6, 2.0)]
    even, uneven = (80,) * 10, (200, 160, 130, 100, 80, 50, 35, 25, 12, 8)
    return [
        *found,
        other_metrics("ten even classes", even, 3),
        other_metrics("ten even classes", even, 5),
        other_metrics("ten uneven classes", uneven, 5),
    ]
