"""How right predictions are, where the class of each file is given."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search.export.predicting import Prediction


@dataclass(eq=False)
class Judgement:
    """Counts of given and predicted classes, and the files whose given class is the least likely.

    >>> judgement = Judgement(("cat", "dog"), suspects=1)
    >>> judgement.add(Prediction("a.png", (("dog", 0.9),), given="cat", given_probability=0.1))
    >>> judgement.accuracy, judgement.recalls, judgement.suspected()[0].path
    (0.0, (0.0, None), 'a.png')
    """

    class_names: Sequence[str]
    # So many files with the least likely given class are kept.
    suspects: int = 0
    # The confusion has shape (K, K): a row a given class, a column a predicted one.
    confusion: NDArray[np.int64] = field(init=False)
    _kept: list[tuple[float, int, Prediction]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._places = {name: place for place, name in enumerate(self.class_names)}
        self.confusion = np.zeros((len(self._places), len(self._places)), dtype=np.int64)

    def add(self, prediction: Prediction) -> None:
        """Counts it, if it could be read and its class is given."""
        if prediction.error is not None or prediction.given is None:
            return
        place = self._places[prediction.given], self._places[prediction.predicted]
        self.confusion[place] += 1
        assert prediction.given_probability is not None
        if self.suspects:
            # The likeliest of those that are kept comes first, and is the next to go; of equal
            # ones the last that came.
            keep = heapq.heappush if len(self._kept) < self.suspects else heapq.heappushpop
            keep(self._kept, (-prediction.given_probability, -self.images, prediction))

    def suspected(self) -> list[Prediction]:
        """The files whose given class is the least likely, the least likely first."""
        return [each for *_, each in sorted(self._kept, key=lambda kept: (-kept[0], -kept[1]))]

    @property
    def images(self) -> int:
        """How many have been counted."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float | None:
        """The share of images whose class is the given one; `None` of none."""
        return int(self.confusion.trace()) / self.images if self.images else None

    @property
    def recalls(self) -> tuple[float | None, ...]:
        """Of each class the share of its images that are found; `None` of one without images."""
        counts = self.confusion.sum(1)
        return tuple(
            int(self.confusion[place, place]) / int(count) if count else None
            for place, count in enumerate(counts)
        )
