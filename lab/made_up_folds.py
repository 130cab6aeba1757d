"""Runs of made-up networks that are each judged on a fold of their own, and whose true worth is
known.

What a run has of its training images is the sum of what each of these does to it, so that two runs
are as alike as they share images to train on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lab.made_up_runs import Bits, Networks, Numbers
from objectives.data.config import fold_of_seed


class Divided:
    """So many images in folds, anew in each draw; with what each does to all who train on it."""

    def __init__(self, random: np.random.Generator, images: int, folds: int) -> None:
        self._random = random
        self._folds = folds
        self._numbers = random.permutation(images) % folds
        self.common = random.standard_normal(images)
        self.teaches = random.standard_normal(images)

    def validations(self, seeds: int) -> list[NDArray[np.bool_]]:
        """Which images each seed is judged on, as `confirm --resplit` divides them."""
        numbers, found = self._numbers.copy(), []
        others = np.flatnonzero(numbers)
        for index in range(seeds):
            fold = fold_of_seed(index, self._folds)
            if (fold.shuffle, fold.number) > (0, 1) and fold.number == 1:
                numbers[self._random.permutation(others)] = numbers[others]
            found.append(numbers == fold.number)
        return found

    def lessons(self, random: np.random.Generator, size: float) -> Numbers:
        """(images,) what each image does to the runs of a configuration that train on it, half of
        it alike for all configurations: together they move a run by a deviation of `size`.
        """
        own = random.standard_normal(len(self.teaches))
        return np.asarray(size * np.sqrt(0.5) * (self.teaches + own))

    def lasting(self, lessons: Numbers) -> float:
        """What is left of these on average over all ways to divide the images."""
        trained_on = len(lessons) * (1 - 1 / self._folds)
        return float(lessons.mean() * np.sqrt(trained_on))

    def runs(
        self,
        random: np.random.Generator,
        networks: Networks,
        margins: Numbers,
        lessons: Numbers,
        validations: Sequence[NDArray[np.bool_]],
    ) -> list[Bits]:
        """Which of its m images each seed, judged on those of `validations` (images,), classifies
        rightly: (1, m) each.
        """
        found = []
        for validation in validations:
            train = ~validation
            seed = networks.seeds(random, 1) + lessons[train].sum() / np.sqrt(train.sum())
            found.append(networks.answers(random, margins[validation], seed) > 0)
        return found
