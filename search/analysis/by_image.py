"""What trials answer image by image: how far a network's confidence can be believed, what is won by
refusing what it is unsure of, and which images all good ones miss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.analysis.importance import Bounds
from search.analysis.recalls import wilson_interval
from storage.predictions import SplitPredictions

# The bins of confidence have equal width, as an export's calibration has them (Guo et al. 2017).
BINS = 15
# The reliability table refuses these shares of the images.
REFUSED = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
CURVE_POINTS = 200
# So many trials, at the least and at the most, count as the good ones.
FEWEST_GOOD, MOST_GOOD = 3, 20
GOOD_SHARE = 0.25


@dataclass(frozen=True)
class ConfidenceBin:
    """Images with a confidence from `low` to `high`."""

    low: float
    high: float
    images: int
    right: int
    # The confidence is the mean over the bin's images.
    confidence: float
    # The interval is for the share of right ones, at 95 %.
    interval: Bounds

    @property
    def share(self) -> float:
        """Right ones of all."""
        return self.right / self.images


@dataclass(frozen=True)
class Refusal:
    """What is left where so many images, those with the least confidence, are refused."""

    refused: int
    answered: int
    right: int
    # The confidence is the least one among the images that are answered.
    confidence: float

    @property
    def accuracy(self) -> float:
        """Of those that are answered."""
        return self.right / self.answered


@dataclass(frozen=True)
class Reliability:
    """How far the confidence of one network can be believed, on the split that it was chosen by."""

    # Only bins that hold images are listed, the lowest first.
    bins: tuple[ConfidenceBin, ...]
    # The error is the expected calibration error, a fraction.
    error: float
    # So many wrong images have no recorded confidence, and are taken at the highest that it can be.
    assumed: int
    # The refusals are at the shares of REFUSED.
    refusals: tuple[Refusal, ...]
    # The curve has up to CURVE_POINTS refusals, for a picture.
    curve: tuple[Refusal, ...]


@dataclass(frozen=True)
class MissedImage:
    """An image that all good trials take for another class."""

    # The index is the image's place in the split.
    index: int
    label: int
    # Most of the networks take the image for this class.
    taken_for: int
    # So many networks take it for that class.
    by: int
    # The probability is the mean of what the networks give the image's own class.
    probability: float


def confusion_of(found: SplitPredictions, classes: int) -> list[list[int]]:
    """One row a true class, one column a predicted one."""
    pairs = found.labels.astype(np.int64) * classes + found.classes
    counts = np.bincount(pairs, minlength=classes * classes)
    matrix: list[list[int]] = counts.reshape(classes, classes).tolist()
    return matrix


def reliability(found: SplitPredictions, recorded: Mapping[int, float]) -> Reliability:
    """Of a network whose confidence in its wrong answers is `recorded` for some images, by index.

    A right answer's confidence is the probability of the true class. A wrong one's that is not
    recorded is taken as what is left of 1 by the true class, the highest that it can be: so the
    error may be too high, and the accuracy of what is not refused too low, never the other way.
    Expected calibration error: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    right = found.right
    probability = found.true_probabilities.astype(np.float64)
    confidence = np.where(right, probability, 1 - probability)
    known = [index for index in recorded if index < len(right) and not right[index]]
    confidence[known] = [recorded[index] for index in known]
    at = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    bins = tuple(_bin(place, confidence, right, at == place) for place in np.unique(at).tolist())
    gaps = sum(each.images * abs(each.share - each.confidence) for each in bins)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, rights = confidence[order], np.cumsum(right[order])

    def at_share(share: float) -> Refusal:
        answered = max(1, len(right) - round(share * len(right)))
        last = answered - 1
        return Refusal(
            len(right) - answered, answered, int(rights[last]), float(sorted_confidence[last])
        )

    steps = np.linspace(0.0, 1.0, min(CURVE_POINTS, len(right)), endpoint=False)
    return Reliability(
        bins,
        gaps / len(right),
        int((~right).sum()) - len(known),
        tuple(map(at_share, REFUSED)),
        tuple(map(at_share, steps.tolist())),
    )


def _bin(
    place: int,
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    inside: NDArray[np.bool_],
) -> ConfidenceBin:
    images, rights = int(inside.sum()), int(right[inside].sum())
    return ConfidenceBin(
        place / BINS,
        (place + 1) / BINS,
        images,
        rights,
        float(confidence[inside].mean()),
        wilson_interval(rights, images),
    )


def good_trials(ranked: Sequence[int]) -> tuple[int, ...]:
    """The best quarter of the complete trials, given by rank: from FEWEST_GOOD to MOST_GOOD;
    nothing where there are fewer.
    """
    count = min(MOST_GOOD, max(FEWEST_GOOD, round(GOOD_SHARE * len(ranked))))
    return tuple(ranked[:count]) if len(ranked) >= FEWEST_GOOD else ()


def missed_by_all(found: Sequence[SplitPredictions]) -> list[MissedImage]:
    """Images that each of these networks, one or more on the same split, classifies wrongly; those
    whose class they give the least probability first.
    """
    labels = found[0].labels
    classes = np.stack([each.classes for each in found])
    means = np.mean([each.true_probabilities.astype(np.float64) for each in found], axis=0)
    missed = []
    for index in np.flatnonzero((classes != labels).all(axis=0)).tolist():
        given, counts = np.unique(classes[:, index], return_counts=True)
        most = int(counts.argmax())
        missed.append(
            MissedImage(
                index, int(labels[index]), int(given[most]), int(counts[most]), float(means[index])
            )
        )
    return sorted(missed, key=lambda each: (each.probability, each.index))
