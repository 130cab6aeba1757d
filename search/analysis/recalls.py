"""How well each class is recognized, with intervals, and what is taken for what."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from search.analysis.importance import Bounds

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Recall:
    """Of the images of one class, how many were given that class."""

    name: str
    right: int
    images: int
    # The interval is at 95 %, for new images like these.
    interval: Bounds

    @property
    def share(self) -> float:
        """Right ones of all."""
        return self.right / self.images


@dataclass(frozen=True)
class Confused:
    """So many images of one class were given another."""

    true: str
    predicted: str
    images: int


def recalls(confusion: Sequence[Sequence[int]], class_names: Sequence[str]) -> list[Recall]:
    """By class, the worst first; a class without images is left out. `confusion` has one row a
    true class, one column a predicted one.
    """
    found = [
        Recall(name, row[place], sum(row), wilson_interval(row[place], sum(row)))
        for place, (name, row) in enumerate(zip(class_names, confusion, strict=True))
        if sum(row) > 0
    ]
    return sorted(found, key=lambda each: each.share)


def confusions(confusion: Sequence[Sequence[int]], class_names: Sequence[str]) -> list[Confused]:
    """Pairs of classes that were confused, the most frequent first."""
    found = [
        Confused(class_names[true], class_names[predicted], count)
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    return sorted(found, key=lambda each: -each.images)


def wilson_interval(right: int, images: int, confidence: float = CONFIDENCE) -> Bounds:
    """Of the share of which `right` of `images`, one or more, are a sample (Wilson 1927).

    >>> wilson_interval(8, 10)
    Interval(low=0.4901624715366612, high=0.9433178485456247)
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = right / images, z * z / images
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / images + weight / images / 4)
    return Bounds(max(0.0, middle - half), min(1.0, middle + half))
