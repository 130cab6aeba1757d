"""Bits for the tests of inference: fixed ones, of which golden numbers are known, and a generator
whose truth is known.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def fixed(runs: int, images: int, hard: int, shift: int = 0) -> Bits:
    """(runs, images): an image is wrong where a hash of run and image falls below its difficulty;
    `hard` of every 97 images are wrong half of the time.
    """
    image, run = np.arange(images), np.arange(runs)[:, None] + shift
    difficulty = np.where(image % 97 < hard, 500, np.where(image % 13 == 0, 30, 2))
    mixed = (image[None] * 7919 + run * 104729 + image[None] * run * 31) * 2654435761
    hashed: Bits = (mixed % 2**32 >> 7) % 1000 >= difficulty[None]
    return hashed


class Networks:
    """Configurations of one accuracy: a run is right on an image where margin + seed + rest > 0.

    `share` is the accuracy on all images, `seed_spread` the deviation of a seed's true accuracy;
    two runs disagree on as many images as one is wrong on, at 98 %. Images are hard for all
    configurations alike, but for a tenth of their variance.
    """

    IMAGE_VARIANCE, COMMON = 5.0, 0.9

    def __init__(self, share: float, seed_spread: float) -> None:
        latent = np.sqrt(1 + self.IMAGE_VARIANCE)
        slope = np.exp(-(ndtri(share) ** 2) / 2) / np.sqrt(2 * np.pi) / latent
        self.share = share
        self.of_seeds = seed_spread / slope
        self.margin = ndtri(share) * np.sqrt(latent**2 + self.of_seeds**2)

    def margins(self, random: np.random.Generator, common: Numbers) -> Numbers:
        """How easy each image is for one such configuration; `common` is how easy for all."""
        own = random.standard_normal(len(common))
        mixed = np.sqrt(self.COMMON) * common + np.sqrt(1 - self.COMMON) * own
        margins: Numbers = self.margin + np.sqrt(self.IMAGE_VARIANCE) * mixed
        return margins

    def runs(self, random: np.random.Generator, margins: Numbers, count: int) -> Bits:
        """(count, images) answers of fresh seeds."""
        seeds = self.of_seeds * random.standard_normal(count)
        right: Bits = random.random((count, len(margins))) < ndtr(margins + seeds[:, None])
        return right

    def worth(self, margins: Numbers) -> float:
        """The mean over all seeds on these images."""
        return float(ndtr(margins / np.sqrt(1 + self.of_seeds**2)).mean())
