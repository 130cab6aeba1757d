"""How good one configuration is: the mean over its seeds, and two intervals for it.

An interval on *these images* says what other seeds would give on the very images the runs were
judged on; one on *new images* what they would give on other images of the same kind. Neither says
anything of another training split.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from search.analysis.inference.components import (
    CONFIDENCE,
    Components,
    Interval,
    components,
    quantile,
)
from search.analysis.inference.runs import Runs

# An interval from two runs says nothing: t(1) is 12.7.
FEWEST_RUNS = 3


@dataclass(frozen=True)
class Estimate:
    """One configuration, in fractions (of a loss: nats)."""

    runs: int
    images: int
    mean: float
    # The lowest value is the worst run's, and of a loss the best run's.
    lowest: float
    highest: float
    # Both intervals are None where there are only two runs, which are too few.
    these_images: Interval | None
    new_images: Interval | None
    # The deviation is between runs on these images.
    run_deviation: float
    # Seeds would deviate by so much, were there endlessly many images.
    seed_deviation: float


@dataclass(frozen=True)
class Divergence:
    """How many of the runs diverged, and in which share of all runs that may come to."""

    diverged: int
    # The runs include the diverged ones.
    runs: int
    share: Interval


def estimate(runs: Runs, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a configuration with both intervals; of two runs without them.

    Formulas: `on_these_images` and `on_new_images`. ValueError for one run.
    """
    parts = components(runs)
    enough = runs.count >= FEWEST_RUNS
    return Estimate(
        runs=runs.count,
        images=runs.images,
        mean=parts.mean,
        lowest=float(runs.values.min()),
        highest=float(runs.values.max()),
        these_images=on_these_images(parts, runs.highest, confidence) if enough else None,
        new_images=on_new_images(parts, runs, confidence) if enough else None,
        run_deviation=parts.run_variance**0.5,
        seed_deviation=parts.seed_variance**0.5,
    )


def on_these_images(parts: Components, highest: float, confidence: float = CONFIDENCE) -> Interval:
    """Student's interval: g +- t(n - 1) sqrt(S / n), cut to 0 .. `highest`.

    Assumes that the values of the seeds are roughly normal; where one seed in six is a poor one it
    covers 90 % for 95. Source: Student 1908; that seeds and not images are what repeats here:
    Bouthillier et al. 2021 (arXiv 2103.03098).
    """
    half = (
        quantile(parts.count - 1, (1 - confidence) / 2) * (parts.run_variance / parts.count) ** 0.5
    )
    return within(parts.mean - half, parts.mean + half, 0.0, highest)


def on_new_images(parts: Components, runs: Runs, confidence: float = CONFIDENCE) -> Interval:
    """Seeds and images together: h^2 = t(n - 1)^2 max(0, S/n - E/(n m)) + t(f)^2 I/m.

    f = max(9, W - 1) with W the images that tell how images vary (`Components.freedom`). A share
    gets Wilson's interval of that quantile and m_eff = g (1 - g) t(f)^2 / h^2 images, so that it
    stays inside 0 .. 1 and is not too short at 99 %; m_eff is at most n `runs.weight`, and where
    all is right, or all wrong, `runs.weight`. A loss gets g +- h, cut at 0.

    Assumes that the images are drawn independently from what the new ones will be (by class, for
    balanced accuracy), and that seeds are roughly normal. Sources: Wilson 1927; effective sample
    size: Korn & Graubard 1998; components by their own degrees of freedom: Welch 1956.
    """
    upper = (1 - confidence) / 2
    mean, of_images = parts.mean, quantile(parts.freedom, upper)
    of_seeds = quantile(parts.count - 1, upper)
    seeds = max(0.0, (parts.run_variance - parts.rest_of_mean) / parts.count)
    squared = of_seeds**2 * seeds + of_images**2 * parts.image_variance_of_mean
    if runs.right is None:
        half = max(squared, of_seeds**2 * parts.smallest / parts.count) ** 0.5
        return within(mean - half, mean + half, 0.0, runs.highest)
    if runs.right.all() or not runs.right.any():
        return wilson(round(mean), runs.weight, quantile(parts.images - 1, upper))
    # So many answers cannot tell more than if each were of another image.
    most = runs.count * runs.weight
    effective = min(most, mean * (1 - mean) * of_images**2 / max(squared, 1e-30))
    return wilson(mean, effective, of_images)


def wilson(share: float, images: float, factor: float) -> Interval:
    """The shares from which the one seen is less than `factor` standard errors away.

    Of so many independent images, which need not be whole. Source: Wilson 1927.
    """
    squared = factor**2
    middle = (share + squared / (2 * images)) / (1 + squared / images)
    half = factor * np.sqrt(share * (1 - share) / images + squared / (4 * images**2))
    half /= 1 + squared / images
    return within(middle - half, middle + half, 0.0, 1.0)


def within(low: float, high: float, lowest: float, highest: float) -> Interval:
    """From `low` to `high`, as far as values can lie there."""
    return Interval(float(max(low, lowest)), float(min(high, highest)))


def divergence(diverged: int, runs: int, confidence: float = CONFIDENCE) -> Divergence:
    """The share of runs that diverge: the exact binomial interval.

    Assumes independent runs, nothing else; it covers at least `confidence`. Source: Clopper &
    Pearson 1934. ValueError unless 0 <= diverged <= runs and 1 <= runs.
    """
    if not 0 <= diverged <= runs or runs < 1:
        raise ValueError(f"{diverged} of {runs} runs diverged: that cannot be")
    found = binomtest(diverged, runs).proportion_ci(confidence, method="exact")
    return Divergence(diverged, runs, Interval(float(found.low), float(found.high)))
