"""What a model gets wrong on a split, as records; no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WrongImage:
    """One wrongly classified image; classes by index."""

    index: int  # in the split
    pixels: NDArray[np.uint8]  # (C, H, W)
    true: int
    predicted: int
    confidence: float  # the probability that the model gives the predicted class


@dataclass(frozen=True, eq=False)
class Examination:
    """What a model gets wrong on one split; K classes."""

    confusion: NDArray[np.int64]  # (K, K): row = true class, column = predicted
    wrong: tuple[WrongImage, ...]  # the most confident ones, the most confident first
