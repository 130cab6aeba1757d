"""What a network answers for each image of a split, as a record; no torch, and numpy only
where there is one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predicted:
    """The answers for the M images of a split, in its order; classes by index."""

    split_sha256: str  # of the images' pixels in their order, and of their labels
    labels: "NDArray[np.uint16]"  # (M,), the class that each image is of
    classes: "NDArray[np.uint16]"  # (M,), the class that it is taken for
    # (M,), the probability that it is given of being what it is
    true_probabilities: "NDArray[np.float16]"
