"""What a model gets wrong on a split, as records; no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WrongImage:
    """One wrongly classified image; classes by index."""

    # The index is the image's place in the split.
    index: int
    # The pixels have shape (C, H, W).
    pixels: NDArray[np.uint8]
    true: int
    predicted: int
    # The confidence is the probability that the model gives the predicted class.
    confidence: float


@dataclass(frozen=True, eq=False)
class Examination:
    """What a model gets wrong on one split; K classes."""

    # The confusion has shape (K, K): a row a true class, a column a predicted one.
    confusion: NDArray[np.int64]
    # Only the most confident ones are kept, the most confident first.
    wrong: tuple[WrongImage, ...]
