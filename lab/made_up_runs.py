"""Runs of made-up networks whose true worth is known: for tests and benchmarks of statistics.

A run answers an image rightly where margin + seed + rest > 0: the margin says how easy the image is
for the configuration, the seed how good the run is, and the rest flips from run to run.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]

# Images are so unequal, the rest being 1: two runs then disagree on as many images as one is wrong
# on, at 98 %, and on 0.6 times as many at 75 %. Of that variance all but a tenth is common to all
# configurations.
IMAGE_VARIANCE, COMMON = 5.0, 0.9


class Networks:
    """Configurations that are right with probability `share` on an image drawn at random: a number,
    or one for each image (of its class, say). `seed_spread` is the deviation of a run's true
    accuracy between seeds.
    """

    def __init__(self, share: float | Numbers, seed_spread: float) -> None:
        latent = np.sqrt(1 + IMAGE_VARIANCE)
        slope = np.exp(-(ndtri(np.mean(share)) ** 2) / 2) / np.sqrt(2 * np.pi) / latent
        self.seed_deviation = float(seed_spread / slope)
        self.centre = ndtri(share) * np.sqrt(latent**2 + self.seed_deviation**2)

    def margins(self, random: np.random.Generator, common: Numbers) -> Numbers:
        """(images,) of one such configuration; `common` (images,), standard normal, is what images
        are for all.
        """
        own = random.standard_normal(len(common))
        mixed = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * own
        return np.asarray(self.centre + np.sqrt(IMAGE_VARIANCE) * mixed)

    def seeds(self, random: np.random.Generator, count: int) -> Numbers:
        """(count,) how good each run is."""
        return self.seed_deviation * random.standard_normal(count)

    def answers(self, random: np.random.Generator, margins: Numbers, seeds: Numbers) -> Numbers:
        """(runs, images) how clearly each image is answered: rightly where above 0."""
        rest = random.standard_normal((len(seeds), len(margins)))
        return rest + margins + seeds[:, None]

    def runs(self, random: np.random.Generator, margins: Numbers, count: int) -> Bits:
        """(count, images) whether fresh seeds are right."""
        return self.answers(random, margins, self.seeds(random, count)) > 0

    def worth(self, margins: Numbers) -> Numbers:
        """(images,) how often each image is right over all seeds."""
        return np.asarray(ndtr(margins / np.sqrt(1 + self.seed_deviation**2)))


def recorded_spreads(random: np.random.Generator, count: int) -> Numbers:
    """Deviations between seeds as they were recorded of real networks: the median is 0.125 points,
    the variances a scaled inverse chi-square of 2.75 degrees of freedom (its median is 2.1).
    """
    return np.asarray(0.125 * np.sqrt(2.1 / random.chisquare(2.75, count)))
