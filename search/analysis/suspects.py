"""Validation images whose label the good trials of a search contradict: suspected to be wrong.

Ranked by the mean probability of the given label, the self-confidence of Northcutt et al. 2021,
"Confident Learning", JAIR 70, section 3.2; the mean over networks is that of an ensemble.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search.analysis.ranking import rank
from storage.direction import Direction
from storage.predictions import SplitPredictions
from storage.records import TrialRecord

# This share of the complete trials, the best first, counts as good, but at most so many.
GOOD_SHARE, MOST_GOOD = 0.5, 20


@dataclass(frozen=True)
class Suspect:
    """An image of the validation split."""

    # The place is the image's index in the split.
    place: int
    # The label is the given one.
    label: int
    # The probability is that of the given label, a mean over the good trials.
    probability: float
    # Most networks predict this class; of several the first.
    predicted: int


def good_trials(
    trials: Sequence[TrialRecord], direction: Direction, predictions: dict[int, SplitPredictions]
) -> list[int]:
    """The numbers of the better half of the complete trials that have recorded predictions, on the
    images that the best of them has; at least one, if there is one, and at most MOST_GOOD.
    """
    complete = [each for each in trials if each.state == "complete" and each.number in predictions]
    ranked = [each.number for each in rank(complete, direction)]
    alike = [
        number
        for number in ranked
        if predictions[number].split_sha256 == predictions[ranked[0]].split_sha256
    ]
    return alike[: min(MOST_GOOD, -(-len(alike) // round(1 / GOOD_SHARE)))]


def suspects(answered: Sequence[SplitPredictions], most: int) -> list[Suspect]:
    """The images that every network takes for another class than they are given, at most so many,
    those with the least likely label first.
    """
    import numpy as np

    labels = answered[0].labels.astype(np.int64)
    # The classes have shape (T, M): networks, images.
    classes = np.stack([each.classes for each in answered]).astype(np.int64)
    given = np.stack([each.true_probabilities for each in answered]).astype(np.float64)
    probabilities, contradicted = given.mean(0), (classes != labels).all(0)
    places = np.flatnonzero(contradicted)
    order = places[np.argsort(probabilities[places], kind="stable")][:most]
    return [
        Suspect(
            int(place),
            int(labels[place]),
            float(probabilities[place]),
            int(np.bincount(classes[:, place]).argmax()),
        )
        for place in order
    ]
