"""By how much one configuration is better than another: paired by image, never by seed.

Sharing a seed makes two configurations' runs hardly more alike (a correlation of 0.06), so the runs
of each are averaged first; the images are the same, and most are right or wrong under both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.analysis.inference.components import (
    CONFIDENCE,
    Components,
    Interval,
    components,
    image_freedom,
    quantile,
    variance_of_mean,
)
from search.analysis.inference.intervals import within
from search.analysis.inference.runs import Classes, Runs

# An answer is to hold on the very images of the runs, or on others of their kind.
WhichImages = Literal["these", "new"]

# Where many configurations are compared, one's own variance counts as n - 1 degrees of freedom,
# that of all together as so many more.
PRIOR_FREEDOM = 2


@dataclass(frozen=True)
class Difference:
    """The first configuration's mean less the second's, in fractions (of a loss: nats)."""

    value: float
    # None where each run was judged on images of its own.
    these_images: Interval | None
    new_images: Interval


@dataclass(frozen=True, eq=False)
class Side:
    """One configuration in a comparison: its variance between runs as it is taken there."""

    parts: Components
    # The variance is the moderated v of `sides`, which has so many degrees of freedom.
    run_variance: float
    freedom: float
    classes: Classes | None
    highest: float

    @property
    def of_mean(self) -> float:
        """The variance v / n of the configuration's mean, on these images."""
        return self.run_variance / self.parts.count


def difference(first: Runs, second: Runs, confidence: float = CONFIDENCE) -> Difference:
    """Two configurations judged on the same images, in the same order.

    Formula: `half_width` with each configuration's own variance. Assumes seeds that are roughly
    normal, of variances that may differ. Source: Welch 1947. ValueError where the images are not
    as many, or a configuration has fewer than two runs.
    """
    one, other = sides([first, second], prior_freedom=0)
    value, upper = one.parts.mean - other.parts.mean, (1 - confidence) / 2
    return Difference(
        value,
        interval(one, other, half_width(one, other, upper, "these")),
        interval(one, other, half_width(one, other, upper, "new")),
    )


def sides(configurations: Sequence[Runs], prior_freedom: float) -> list[Side]:
    """Each configuration with its moderated variance v = (d0 pooled + (n - 1) S) / (d0 + n - 1), of
    d0 + n - 1 degrees of freedom; d0 is `prior_freedom`, and 0 leaves each its own.

    Assumes that the variances of configurations scatter about a common one (a scaled inverse
    chi-square; 2.75 degrees of freedom were recorded). Source: Smyth 2004, section 3 (the
    moderated t of limma), with a fixed d0 in place of an estimated one.
    """
    if len({runs.images for runs in configurations}) > 1:
        counts = ", ".join(str(runs.images) for runs in configurations)
        raise ValueError(f"configurations are judged on the same images, not on {counts}")
    found = [components(runs) for runs in configurations]
    own = np.array([parts.count - 1 for parts in found], float)
    variances = np.array([parts.run_variance for parts in found])
    pooled = (own * variances).sum() / own.sum()
    moderated = (prior_freedom * pooled + own * variances) / (prior_freedom + own)
    return [
        Side(parts, float(variance), float(prior_freedom + freedom), runs.classes, runs.highest)
        for parts, variance, freedom, runs in zip(
            found, moderated, own, configurations, strict=True
        )
    ]


def half_width(one: Side, other: Side, upper: float, images: WhichImages) -> float:
    """Half the width of the interval whose tails have probability `upper` each; never 0.

    On these images t(f) sqrt(A) with A = v1/n1 + v2/n2 and f = A^2 / sum((v/n)^2 / freedom). On new
    ones h^2 = t(f)^2 max(0, A - E1/(n1 m) - E2/(n2 m)) + t(max(9, W - 1))^2 var(r)/m, r the images'
    differences of means and W those that are not 0. Sources: Welch 1947; Satterthwaite 1946.
    """
    sum_of_both = one.of_mean + other.of_mean
    of_seeds = quantile(welch_freedom(one, other), upper)
    if images == "these":
        return float(of_seeds * sum_of_both**0.5)
    rest = sum(side.parts.rest_of_mean / side.parts.count for side in (one, other))
    squared = of_seeds**2 * max(0.0, sum_of_both - rest)
    squared += quantile(pair_freedom(one, other), upper) ** 2 * pair_variance(one, other)
    # Where the images differ alike in all runs nothing is left but the rounding of the values.
    rounding = one.parts.smallest / one.parts.count + other.parts.smallest / other.parts.count
    return float(max(squared, of_seeds**2 * rounding) ** 0.5)


def welch_freedom(one: Side, other: Side) -> float:
    """Degrees of freedom of the sum of two estimated variances (Welch 1947)."""
    squares = one.of_mean**2 / one.freedom + other.of_mean**2 / other.freedom
    return (one.of_mean + other.of_mean) ** 2 / squares


def pair_variance(one: Side, other: Side) -> float:
    """The variance that drawing other images gives the difference of two means."""
    return variance_of_mean(one.parts.image_means - other.parts.image_means, one.classes)


def pair_freedom(one: Side, other: Side) -> float:
    """Degrees of freedom of `pair_variance`: by the images that are not right equally often."""
    rights, others = one.parts.right_means, other.parts.right_means
    if rights is None or others is None:
        return image_freedom(one.parts.images)
    return image_freedom(int((rights != others).sum()))


def interval(one: Side, other: Side, half: float) -> Interval:
    """The difference of the means, give or take `half`, as far as values can differ."""
    value = one.parts.mean - other.parts.mean
    return within(value - half, value + half, -one.highest, one.highest)
