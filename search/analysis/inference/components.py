"""Where the scores of one configuration vary: between runs, between images, and left over.

A run's score of an image is taken as mean + run + image + rest (a crossed analysis of variance:
Searle, Casella & McCulloch 1992, chapter 4). Notation: g the mean, S the variance of the runs'
values, I that of the images' means, E the mean square of the rest; on n runs and m images
E[S] = var(run) + E/m and E[I] = var(image) + E/n.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from search.analysis.inference.runs import Bits, Classes, Numbers, Runs

CONFIDENCE = 0.95

# Where hardly an image is answered unlike the others, a variance between images is known from a
# handful of them; below so many degrees of freedom the quantile would forbid every answer.
FEWEST_FREEDOM = 9


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, fractions."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value lies in it, the ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, eq=False)
class Components:
    """The parts of the variance of n runs on m images; `of_mean` is said of a part already divided
    by the number of images, by class where the metric averages over classes.

    In the notation of this module `count` is n, `images` m, `mean` g, `run_variance` S,
    `image_variance_of_mean` I / m and `rest_of_mean` E / m.
    """

    count: int
    images: int
    mean: float
    # The runs' variance is at least the variance of rounding.
    run_variance: float
    image_variance_of_mean: float
    # A run's value varies by so much without its seed being better.
    rest_of_mean: float
    # The means over the runs have shape (m,).
    image_means: Numbers
    # The shares of runs that are right have shape (m,).
    right_means: Numbers | None
    # The part between images has so many degrees of freedom.
    freedom: float
    # Rounding alone gives a run's value this variance.
    smallest: float

    @property
    def seed_variance(self) -> float:
        """What is left of S when the images are not these but endlessly many."""
        return max(0.0, self.run_variance - self.rest_of_mean)


def components(runs: Runs) -> Components:
    """Of two runs or more; ValueError for fewer."""
    if runs.count < 2:
        raise ValueError(f"{runs.count} finished run(s) say nothing of how runs vary: 2 or more do")
    scores = runs.scores
    values, image_means = runs.values, scores.mean(axis=0)
    rest = scores - values[:, None] - image_means + values.mean()
    # Numbers that are rounded to a step have this variance.
    smallest = runs.step**2 / 12
    right_means = None if runs.right is None else runs.right.mean(axis=0)
    return Components(
        count=runs.count,
        images=runs.images,
        mean=float(values.mean()),
        run_variance=max(float(values.var(ddof=1)), smallest),
        image_variance_of_mean=variance_of_mean(image_means, runs.classes),
        rest_of_mean=_rest_of_mean(scores, rest, runs.classes),
        image_means=image_means,
        right_means=right_means,
        freedom=image_freedom(_telling(runs.right, runs.images)),
        smallest=smallest,
    )


def variance_of_mean(values: Numbers, classes: Classes | None) -> float:
    """The variance that drawing other images gives the mean of `values` (m,).

    With `classes` (m,) other images are drawn class by class, as many of each: the sum over the
    classes of (share of the images)^2 x variance within / images of the class (stratified
    sampling: Cochran 1977, section 5.3). A class of one image has the mean of the others'
    variance, each as a variance of recalls.
    """
    if classes is None:
        return float(values.var(ddof=1)) / len(values)
    counts = np.bincount(classes).astype(float)
    means = np.bincount(classes, weights=values) / counts
    squares = np.bincount(classes, weights=(values - means[classes]) ** 2)
    return _over_classes(squares.astype(float), counts - 1, counts)


def quantile(freedom: float, upper: float) -> float:
    """Student's t above which the probability is `upper`. By scipy.special, as scipy.stats takes a
    hundred times as long for one number, and Holm's test asks for hundreds.
    """
    return float(stdtrit(freedom, 1 - upper))


def image_freedom(telling: int) -> float:
    """Degrees of freedom of a variance between images of which so many tell anything."""
    return float(max(FEWEST_FREEDOM, telling - 1))


def _telling(right: Bits | None, images: int) -> int:
    # Most images are right in all runs (or, of a poor network, wrong in all), and say nothing of
    # how images vary; the others do.
    if right is None:
        return images
    return int(min((~right.all(axis=0)).sum(), right.any(axis=0).sum()))


def _rest_of_mean(scores: Numbers, rest: Numbers, classes: Classes | None) -> float:
    runs, images = scores.shape
    if classes is None:
        return float((rest**2).sum() / ((runs - 1) * (images - 1)) / images)
    # Within each class a run has a mean of its own: a seed may be good at one class alone.
    counts = np.bincount(classes).astype(float)
    # A row has a 1 at its image's class; the shape is (m, classes).
    member = np.equal.outer(classes, np.arange(len(counts))).astype(float)
    within = rest - (rest @ member / counts)[:, classes]
    squares = (within**2).sum(axis=0) @ member
    return _over_classes(squares, (runs - 1) * (counts - 1), counts)


def _over_classes(squares: Numbers, freedoms: Numbers, counts: Numbers) -> float:
    # The sum is in units of recalls: scores of a class are m / (C x its images) times as large.
    classes, images = len(counts), float(counts.sum())
    scale = (classes * counts / images) ** 2
    known = freedoms > 0
    recalls = np.divide(squares * scale, freedoms, out=np.zeros(classes), where=known)
    recalls[~known] = recalls[known].mean() if known.any() else 0.25
    return float((recalls / counts).sum() / classes**2)
