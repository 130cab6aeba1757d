"""Which images of a data set are taken for another split."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A label is a class's place among the class names; the shape is (N,).
Labels = NDArray[np.int64]
# Positions are along N, and have shape (M,).
Positions = NDArray[np.int64]

# So much is held out where no test split is published.
TEST_FRACTION = 0.2
# It never changes: with another seed mnist-5k is another data set.
TEST_SEED = 0


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Positions, Positions]:
    """Positions that stay and positions that are taken: round(fraction * N) are taken, in
    proportion from each class.

    A class gives its share by largest remainder, at least one image, and never its last one, so
    that it takes between as many images as there are classes and N less that many. Which images go
    is drawn from np.random.RandomState, whose stream NumPy keeps the same in every release (NEP
    19).
    """
    classes, counts = np.unique(labels, return_counts=True)
    shares = _shares(counts.tolist(), round(fraction * len(labels)))
    random = np.random.RandomState(seed)
    taken = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, shares, strict=True):
        taken[random.permutation(np.flatnonzero(labels == label))[:share]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def _shares(counts: list[int], total: int) -> list[int]:
    """`total` in proportion to `counts` by largest remainder, each share between 1 and its count -
    1.
    """
    everything = sum(counts)
    shares = [min(max(total * count // everything, 1), count - 1) for count in counts]
    while missing := total - sum(shares):
        step = 1 if missing > 0 else -1
        free = [i for i, count in enumerate(counts) if 1 <= shares[i] + step < count]
        shares[max(free, key=lambda i: step * (total * counts[i] - everything * shares[i]))] += step
    return shares


# --- images that belong together


# Units have shape (N,), and are equal for images that never stand on two sides of a split.
Units = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Belonging:
    """Which images belong together, and an order of them all that is of contents and not of
    names.
    """

    # The units are those of `units_of`.
    units: Units
    # A rank is a content's place among all contents; the shape is (N,).
    ranks: NDArray[np.int64]


class Undivided(Exception):
    """A class whose images all belong together: none can stand on the other side."""

    def __init__(self, label: int) -> None:
        super().__init__(label)
        self.label = label


def units_of(*marks: Sequence[Hashable]) -> Units:
    """Numbers of the smallest units such that images with any mark in common are of one; by first
    appearance.

    >>> units_of(["a", "b", "a", "c"], ["x", "y", "z", "z"])  # the first, the third and the fourth
    array([0, 1, 0, 0])
    """
    count = len(marks[0])
    parents = list(range(count))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    for kind in marks:
        first: dict[Hashable, int] = {}
        for row, mark in enumerate(kind):
            one, other = root(first.setdefault(mark, row)), root(row)
            parents[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return np.array(
        [numbers.setdefault(root(row), len(numbers)) for row in range(count)], dtype=np.int64
    )


def split_by_units(
    labels: Labels, belonging: Belonging, fraction: float, seed: int
) -> tuple[Positions, Positions]:
    """As stratified_split, but that units stay whole, and that images are drawn, and given, in the
    order of contents.

    So it depends on neither names nor the order of files. Where units are large a class gives about
    as many images as its share, and one unit at least.

    Raises Undivided for a class whose images are all of one unit, or of units that hold all of
    another class.
    """
    order = np.lexsort((labels, belonging.ranks))
    labels, units = labels[order], belonging.units[order]
    classes, counts = np.unique(labels, return_counts=True)
    shares = dict(
        zip(classes.tolist(), _shares(counts.tolist(), round(fraction * len(labels))), strict=True)
    )
    random = np.random.RandomState(seed)
    taking = _Taking(zip(units.tolist(), labels.tolist(), strict=True), shares, stays=1)
    for label in shares:
        taking.take(label, units[random.permutation(np.flatnonzero(labels == label))].tolist())
        if not taking.count[label]:
            raise Undivided(label)
    taken = np.isin(units, list(taking.taken))
    return order[~taken], order[taken]


def units_for_test(labels: Labels, units: Units, contents: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which images are test: TEST_FRACTION of each class's different contents, or somewhat less, as
    units stay whole.

    A unit's place in the order is that of its smallest content: names of files and their order do
    not matter. Of each class two units or more are left, for training and validation.
    """
    smallest: dict[int, bytes] = {}
    for unit, content in zip(units.tolist(), contents, strict=True):
        smallest[unit] = min(content, smallest.get(unit, content))
    # Each class has its units by their different contents.
    of_class: dict[int, dict[bytes, int]] = defaultdict(dict)
    for label, unit, content in zip(labels.tolist(), units.tolist(), contents, strict=True):
        of_class[label][content] = unit
    shares = {label: round(TEST_FRACTION * len(different)) for label, different in of_class.items()}
    images = ((unit, label) for label, different in of_class.items() for unit in different.values())
    taking = _Taking(images, shares, stays=2)
    for label, different in sorted(of_class.items()):
        order = sorted(different, key=lambda content: (smallest[different[content]], content))
        taking.take(label, [different[content] for content in order])
    return np.isin(units, list(taking.taken))


class _Taking:
    """Whole units taken out of classes, of each of which some are left."""

    def __init__(
        self, images: Iterable[tuple[int, int]], shares: Mapping[int, int], stays: int
    ) -> None:
        """`images` are (unit, label) each; `shares` of them are to be taken by label; so many units
        of each stay.
        """
        self.taken: set[int] = set()
        # So many images of each class have been taken.
        self.count: Counter[int] = Counter()
        self._shares = shares
        self._stays = stays
        # Each unit has so many images of each class.
        self._sizes: dict[int, Counter[int]] = defaultdict(Counter)
        for unit, label in images:
            self._sizes[unit][label] += 1
        self._left = Counter(label for sizes in self._sizes.values() for label in sizes)

    def take(self, label: int, order: Iterable[int]) -> None:
        """Of a class its share of images, by units in that order that bring all classes nearer to
        theirs.

        Where none does, its smallest one that can go.
        """
        candidates = list(dict.fromkeys(order))
        for unit in candidates:
            if self.count[label] >= self._shares[label]:
                return
            if self._brings_nearer(unit):
                self._take(unit)
        if not self.count[label]:
            candidates.sort(key=lambda unit: self._sizes[unit].total())
            next((unit for unit in candidates if self._take(unit)), None)

    def _brings_nearer(self, unit: int) -> bool:
        missing = {label: self._shares[label] - self.count[label] for label in self._sizes[unit]}
        after = sum(abs(missing[label] - size) for label, size in self._sizes[unit].items())
        return after < sum(map(abs, missing.values()))

    def _take(self, unit: int) -> bool:
        sizes = self._sizes[unit]
        if unit in self.taken or any(self._left[label] <= self._stays for label in sizes):
            return False
        self.taken.add(unit)
        self.count.update(sizes)
        self._left.subtract(sizes.keys())
        return True
