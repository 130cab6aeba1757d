"""Which images of a data set are taken for another split."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]  # (N,), a class's place among the class names
Positions = NDArray[np.int64]  # (M,) ascending, along N

TEST_FRACTION = 0.2  # where no test split is published
TEST_SEED = 0  # never to change: with another seed mnist-5k is another data set


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Positions, Positions]:
    """Positions that stay and positions that are taken: round(fraction * N) are taken, in proportion from each class.

    A class gives its share by largest remainder, at least one image, and never its last one, so that it takes between
    as many images as there are classes and N less that many. Which images go is drawn from np.random.RandomState, whose
    stream NumPy keeps the same in every release (NEP 19).
    """
    classes, counts = np.unique(labels, return_counts=True)
    shares = _shares(counts.tolist(), round(fraction * len(labels)))
    random = np.random.RandomState(seed)
    taken = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, shares, strict=True):
        taken[random.permutation(np.flatnonzero(labels == label))[:share]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def _shares(counts: list[int], total: int) -> list[int]:
    """`total` in proportion to `counts` by largest remainder, each share between 1 and its count - 1."""
    everything = sum(counts)
    shares = [min(max(total * count // everything, 1), count - 1) for count in counts]
    while missing := total - sum(shares):
        step = 1 if missing > 0 else -1
        free = [i for i, count in enumerate(counts) if 1 <= shares[i] + step < count]
        shares[max(free, key=lambda i: step * (total * counts[i] - everything * shares[i]))] += step
    return shares
