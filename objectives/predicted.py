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

    # The hash is of the images' pixels in their order, and of their labels.
    split_sha256: str
    # The labels have shape (M,): the class that each image is of.
    labels: "NDArray[np.uint16]"
    # The classes have shape (M,): the class that each image is taken for.
    classes: "NDArray[np.uint16]"
    # The probabilities have shape (M,): what each image is given of being what it is.
    true_probabilities: "NDArray[np.float16]"
