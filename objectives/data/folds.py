"""All that is not test, divided into folds that have about the same classes; no torch."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from objectives.data.config import OF_THE_SEARCH, Fold
from objectives.data.splits import Belonging, Labels, Positions, Undivided

# Folds are numbered from 0; the shape is (N,).
FoldNumbers = NDArray[np.int64]
# What a unit is composed of is each class that it has, with its images of that class.
Composition = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Folds:
    """How the images of a study are divided: `count` folds, by `seed`.

    >>> folds = Folds(np.array([0, 1] * 6), None, count=3, seed=0)
    >>> train, validation = folds.split(Fold(shuffle=0, number=1))
    >>> len(train), len(validation)
    (8, 4)
    """

    labels: Labels
    # Images that belong together are of one fold; None: each stands for itself.
    belonging: Belonging | None
    count: int
    seed: int

    def split(self, fold: Fold = OF_THE_SEARCH) -> tuple[Positions, Positions]:
        """Positions of the images for training, and of those in the fold, for validation; in the
        order of contents where images belong together, as splits.split_by_units gives them.

        Where groups are so entangled that a later shuffle would leave a fold without a class, the
        first one serves again. Raises Undivided for a class that cannot be in every fold.
        """
        order = np.arange(len(self.labels))
        units = order
        if self.belonging is not None:
            order = np.lexsort((self.labels, self.belonging.ranks))
            units = self.belonging.units[order]
        labels = self.labels[order]
        numbers = fold_numbers(labels, units, self.count, np.random.RandomState(self.seed))
        if fold.shuffle > 0:
            _shuffle_others(numbers, labels, units, self.count, (self.seed, fold.shuffle))
        held_out = numbers == fold.number
        return order[~held_out], order[held_out]


def _shuffle_others(
    numbers: FoldNumbers, labels: Labels, units: Positions, count: int, seed: Sequence[int]
) -> None:
    """Divides what is not in fold 0 anew, in place."""
    others = np.flatnonzero(numbers != OF_THE_SEARCH.number)
    random = np.random.RandomState(list(seed))
    try:
        anew = fold_numbers(labels[others], units[others], count - 1, random)
    except Undivided:
        return
    numbers[others] = 1 + anew


def fold_numbers(
    labels: Labels, units: Positions, count: int, random: np.random.RandomState
) -> FoldNumbers:
    """The fold (N,) of each image, from 0 to `count` - 1; `units` (N,) are equal for images that
    must not be parted.

    The largest units come first, and each goes where its classes are fewest, as shares of all of
    theirs, and then where the fewest images are. So folds of images that stand for themselves
    differ by at most one image, in each class and in all. Among units alike the order is drawn from
    `random`, whose stream NumPy keeps the same in every release (NEP 19). scikit-learn's
    StratifiedGroupKFold goes about it in much the same way.

    Raises Undivided for a class that some fold would have no image of.
    """
    totals = Counter(labels.tolist())
    held = [Counter[int]() for _ in range(count)]
    sizes = [0] * count
    fold_of: dict[int, int] = {}

    def crowded(fold: int, classes: Composition) -> tuple[float, int, int]:
        shares = (images * held[fold][label] / totals[label] for label, images in classes)
        return sum(shares), sizes[fold], fold

    for classes, alike in _by_composition(labels, units, random):
        # A unit changes how crowded its own fold is for the others that are like it.
        heap = [crowded(fold, classes) for fold in range(count)]
        heapify(heap)
        for unit in alike:
            *_, fold = heap[0]
            held[fold].update(dict(classes))
            sizes[fold] += sum(images for _, images in classes)
            fold_of[unit] = fold
            heapreplace(heap, crowded(fold, classes))
    for label in sorted(totals):
        if not all(each[label] for each in held):
            raise Undivided(label)
    return np.array([fold_of[unit] for unit in units.tolist()], dtype=np.int64)


def _by_composition(
    labels: Labels, units: Positions, random: np.random.RandomState
) -> Iterator[tuple[Composition, Iterator[int]]]:
    """Units that have as many images of each class, the largest first, in random order."""
    # Labels stand by unit.
    of_unit: dict[int, list[int]] = defaultdict(list)
    for row in random.permutation(len(labels)).tolist():
        of_unit[int(units[row])].append(int(labels[row]))
    composed = {unit: tuple(sorted(Counter(own).items())) for unit, own in of_unit.items()}
    order = sorted(of_unit, key=lambda unit: (-len(of_unit[unit]), composed[unit]))
    return groupby(order, key=composed.__getitem__)
