"""Runs that are each judged on a fold of their own, all other images but the test split being
trained on: what they say of a configuration, of two, and of the best, with the split in it.

n runs, K folds. One fold, the search's, judges none: it chose the configurations. A run's value is
taken as mean + run + images (a nested analysis of variance: Searle, Casella & McCulloch 1992,
chapter 3). What a run has of its own is its seed and its split; it shares its images with no other
run of a round of K - 1 folds. Two configurations have the same fold under the same seed, so their
differences are taken run by run and image by image.

Notation: g the mean of the n values, S their variance, W the mean of the variances that drawing
other images gives a run's value, R = min(n, K - 1). E[S] = var(run) + W, and the images' part of g
varies by W / R: n runs of several rounds see no further images, and that the same image is
answered several times is counted for nothing.

Assumes that runs are alike only by their images. They are trained on mostly the same ones, so that
what wholly other training images would change is seen in part alone: no variance of it can be
estimated without bias (Bengio & Grandvalet 2004, JMLR 5). That networks judged on one fold are
trained on the images of the others changes little where a few images change a network little
(Bayle, Bayle, Janson & Mackey 2020, "Cross-validation confidence intervals for test error"). The
corrected resampled t test (Nadeau & Bengio 2003), t(n - 1)^2 S (1/n + 1/(K - 1)), allows for more
than was met with, and is half as long again: docs/inference.md.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import fsum
from statistics import fmean

import numpy as np

from search.analysis.inference.best_set import BestSet, Visible
from search.analysis.inference.components import (
    CONFIDENCE,
    Interval,
    image_freedom,
    quantile,
    variance_of_mean,
)
from search.analysis.inference.differences import Difference
from search.analysis.inference.intervals import FEWEST_RUNS, Estimate, wilson, within
from search.analysis.inference.luck import Luck
from search.analysis.inference.runs import Numbers, Runs
from search.analysis.inference.visibility import POWER

# It takes so many pairs of runs to say how differences vary.
FEWEST_PAIRED = 2


@dataclass(frozen=True, eq=False)
class ResplitRuns:
    """The runs of one configuration, each on the images of its fold.

    >>> ResplitRuns({0: accuracy(first), 1: accuracy(second)}, folds=5).values   # doctest: +SKIP
    array([0.98, 0.97])
    """

    # Each is of one run, and stands by the index of its seed: the same index is the same fold in
    # every configuration.
    by_seed: Mapping[int, Runs]
    # There are K of them, three or more.
    folds: int

    @property
    def runs(self) -> tuple[Runs, ...]:
        """In the order of their seeds."""
        return tuple(self.by_seed[index] for index in sorted(self.by_seed))

    @property
    def count(self) -> int:
        """n, how many runs there are."""
        return len(self.by_seed)

    @property
    def values(self) -> Numbers:
        """(n,) the metric of each run."""
        return np.array([float(each.values[0]) for each in self.runs])

    @property
    def images(self) -> int:
        """So many different images they are judged on together, at least."""
        return sum(each.images for each in self.runs[: self.folds - 1])

    @property
    def sign(self) -> int:
        """1 where more is better, -1 for a loss."""
        return self.runs[0].sign

    @property
    def highest(self) -> float:
        """The metric's upper limit; the lower is 0."""
        return self.runs[0].highest

    def of(self, seeds: Collection[int]) -> "ResplitRuns":
        """The runs of these seeds alone."""
        return replace(self, by_seed={index: self.by_seed[index] for index in seeds})


@dataclass(frozen=True, eq=False)
class Parts:
    """Where the values of n runs vary, or the differences of two configurations' n runs.

    In the notation of this module `count` is n, `folds` K, `mean` g, `run_variance` S and
    `image_variance` W.
    """

    count: int
    folds: int
    mean: float
    # The runs' variance is at least the variance of rounding.
    run_variance: float
    image_variance: float
    # W has so many degrees of freedom.
    freedom: float
    # Rounding alone gives a value this variance.
    smallest: float

    @property
    def of_runs(self) -> float:
        """What seeds and splits vary by, beyond what their images do."""
        return max(0.0, self.run_variance - self.image_variance)

    def half_width(self, upper: float) -> float:
        """h^2 = t(n - 1)^2 max(0, S - W) / n + t(f)^2 W / R, where a tail has probability `upper`;
        never 0.
        """
        of_seeds = quantile(self.count - 1, upper) ** 2
        of_images = quantile(self.freedom, upper) ** 2
        different = min(self.count, self.folds - 1)
        squared = of_seeds * self.of_runs / self.count
        squared += of_images * self.image_variance / different
        return float(max(squared, of_seeds * self.smallest / self.count) ** 0.5)

    def half_width_at_last(self, upper: float) -> float:
        """The same for endlessly many runs, which see no other images than one round of folds."""
        return float(
            quantile(self.freedom, upper) * (self.image_variance / (self.folds - 1)) ** 0.5
        )


def parts_of(judged: ResplitRuns) -> Parts:
    """Of one configuration with two runs or more; ValueError for fewer."""
    answers = sum(each.images for each in judged.runs)
    rights = [int(each.right.sum()) for each in judged.runs if each.right is not None]
    telling = min(sum(rights), answers - sum(rights)) if rights else answers
    return _parts([each.scores[0] for each in judged.runs], judged, telling, noises=1)


def parts_of_pair(one: ResplitRuns, other: ResplitRuns) -> Parts:
    """Of the first less the second, under the seeds that both have. ValueError for fewer than two
    of these, or where a seed's fold is not the same.
    """
    seeds = shared_seeds(one, other)
    first, second = one.of(seeds), other.of(seeds)
    sizes = [[each.images for each in side.runs] for side in (first, second)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"runs are paired on the same folds, not on {sizes[0]} and {sizes[1]}")
    scores = [
        run.scores[0] - beside.scores[0]
        for run, beside in zip(first.runs, second.runs, strict=True)
    ]
    return _parts(scores, first, sum(int((each != 0).sum()) for each in scores), noises=2)


def shared_seeds(one: ResplitRuns, other: ResplitRuns) -> set[int]:
    """Indices of the seeds that both have."""
    return set(one.by_seed) & set(other.by_seed)


def _parts(scores: Sequence[Numbers], judged: ResplitRuns, telling: int, noises: int) -> Parts:
    if len(scores) < 2:
        raise ValueError(
            f"{len(scores)} finished run(s) say nothing of how runs vary: 2 or more do"
        )
    values = np.array([each.mean() for each in scores])
    drawn = [
        variance_of_mean(each, run.classes) for each, run in zip(scores, judged.runs, strict=True)
    ]
    smallest = noises * fmean(each.step**2 / 12 for each in judged.runs)
    # An image that is judged in several rounds tells once how images vary.
    different = min(len(scores), judged.folds - 1) / len(scores)
    return Parts(
        len(scores),
        judged.folds,
        float(values.mean()),
        max(float(values.var(ddof=1)), smallest),
        fmean(drawn),
        image_freedom(round(different * telling)),
        smallest,
    )


def resplit_estimate(judged: ResplitRuns, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a configuration with its interval on new images, for other seeds and splits; of
    two runs without it. One on these images there is not: each run has others.

    The interval is g +- `Parts.half_width`, of a share Wilson's with g (1 - g) t(f)^2 / h^2 images,
    as in `intervals.on_new_images`. ValueError for one run.
    """
    parts = parts_of(judged)
    enough = judged.count >= FEWEST_RUNS
    values = judged.values
    return Estimate(
        runs=judged.count,
        images=judged.images,
        mean=parts.mean,
        lowest=float(values.min()),
        highest=float(values.max()),
        these_images=None,
        new_images=_new_images(judged, parts, confidence) if enough else None,
        run_deviation=parts.run_variance**0.5,
        seed_deviation=parts.of_runs**0.5,
    )


def _new_images(judged: ResplitRuns, parts: Parts, confidence: float) -> Interval:
    upper = (1 - confidence) / 2
    half = parts.half_width(upper)
    rights = [each.right for each in judged.runs if each.right is not None]
    if not rights:
        return within(parts.mean - half, parts.mean + half, 0.0, judged.highest)
    weight = fmean(each.weight for each in judged.runs) * min(judged.count, judged.folds - 1)
    if all(each.all() for each in rights) or not any(each.any() for each in rights):
        return wilson(round(parts.mean), weight, quantile(judged.images - 1, upper))
    of_images = quantile(parts.freedom, upper)
    effective = parts.mean * (1 - parts.mean) * of_images**2 / half**2
    return wilson(parts.mean, min(weight, effective), of_images)


def resplit_difference(
    one: ResplitRuns, other: ResplitRuns, confidence: float = CONFIDENCE
) -> Difference:
    """The first configuration's mean less the second's under the seeds that both have, g +-
    `Parts.half_width`. ValueError for fewer than two of these seeds.
    """
    parts = parts_of_pair(one, other)
    half = parts.half_width((1 - confidence) / 2)
    new = within(parts.mean - half, parts.mean + half, -one.highest, one.highest)
    return Difference(parts.mean, None, new)


def resplit_luck(score: float, judged: ResplitRuns, confidence: float = CONFIDENCE) -> Luck:
    """The search's value less the mean of fresh seeds on other folds: of a lucky seed and of images
    that suited it, together. The value is what was seen, so that the interval is the mean's.

    Assumes an incumbent that the fresh runs did not choose. ValueError for one run.
    """
    found = resplit_estimate(judged, confidence)
    sign, mean = judged.sign, found.new_images
    value = sign * (score - found.mean)
    if mean is None:
        return Luck(value, None)
    ends = sorted((sign * (score - mean.low), sign * (score - mean.high)))
    return Luck(value, Interval(*ends))


def resplit_best_set(
    configurations: Sequence[ResplitRuns], confidence: float = CONFIDENCE
) -> BestSet:
    """A configuration may be the best unless another leads it by more than the half-width of their
    differences at the one-sided (1 - confidence) / (C - 1), C configurations.

    As `best_set`, but that pairs are compared by their own differences alone; where they share
    fewer than two seeds nothing is said of them.
    """
    worth = [each.sign * float(each.values.mean()) for each in configurations]
    upper = _upper(configurations, confidence)

    def leads(other: ResplitRuns, one: ResplitRuns) -> bool:
        if len(shared_seeds(one, other)) < FEWEST_PAIRED:
            return False
        parts = parts_of_pair(other, one)
        return other.sign * parts.mean > parts.half_width(upper)

    kept = [
        place
        for place, one in enumerate(configurations)
        if not any(leads(other, one) for other in configurations)
    ]
    return BestSet(
        tuple(place in kept for place in range(len(configurations))),
        max(kept, key=lambda place: worth[place], default=None),
    )


def resplit_visible(
    configurations: Sequence[ResplitRuns], confidence: float = CONFIDENCE
) -> Visible | None:
    """The lead that `resplit_best_set` sees in 80 % of all cases, on average over the pairs: the
    sum of two quantiles, as `visibility.Typical.visible`. `None` where no two configurations share
    two seeds.
    """
    pairs = [
        parts_of_pair(one, other)
        for one, other in combinations(configurations, 2)
        if len(shared_seeds(one, other)) >= FEWEST_PAIRED
    ]
    if not pairs:
        return None
    usual = Parts(
        count=min(each.count for each in pairs),
        folds=pairs[0].folds,
        mean=0.0,
        run_variance=fmean(each.run_variance for each in pairs),
        image_variance=fmean(each.image_variance for each in pairs),
        freedom=fmean(each.freedom for each in pairs),
        smallest=fmean(each.smallest for each in pairs),
    )
    tails = (_upper(configurations, confidence), 1 - POWER)
    return Visible(fsum(map(usual.half_width, tails)), fsum(map(usual.half_width_at_last, tails)))


def _upper(configurations: Sequence[ResplitRuns], confidence: float) -> float:
    return (1 - confidence) / max(1, len(configurations) - 1)
