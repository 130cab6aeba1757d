"""Bits of which golden numbers are known."""

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]


def fixed(runs: int, images: int, hard: int, shift: int = 0) -> Bits:
    """(runs, images): an image is wrong where a hash of run and image falls below its difficulty;
    `hard` of every 97 images are wrong half of the time.
    """
    image, run = np.arange(images), np.arange(runs)[:, None] + shift
    difficulty = np.where(image % 97 < hard, 500, np.where(image % 13 == 0, 30, 2))
    mixed = (image[None] * 7919 + run * 104729 + image[None] * run * 31) * 2654435761
    hashed: Bits = (mixed % 2**32 >> 7) % 1000 >= difficulty[None]
    return hashed
