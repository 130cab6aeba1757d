"""What is said of networks image by image, on answers whose truth can be counted by hand."""

import numpy as np
import pytest

from search.analysis.by_image import (
    BINS,
    MissedImage,
    Refusal,
    confusion_of,
    good_trials,
    missed_by_all,
    reliability,
)
from storage.predictions import SplitPredictions
from tests.search.report.made_up_page import predicted


def test_a_network_that_is_right_as_often_as_it_says_has_no_calibration_error() -> None:
    labels = [0] * 8
    classes = [0] * 6 + [1] * 2
    # It says 0.75 of all, and is right in 6 of 8.
    found = reliability(predicted(classes, labels, [0.75] * 6 + [0.25] * 2), {})
    (only,) = found.bins
    assert (only.images, only.right, only.share) == (8, 6, 0.75)
    assert found.error == 0.0
    assert found.assumed == 2


def test_a_recorded_confidence_takes_the_place_of_the_highest_that_it_can_be() -> None:
    answers = predicted([0, 1], [0, 0], [1.0, 0.0])
    assumed, known = reliability(answers, {}), reliability(answers, {1: 0.5, 0: 0.3, 9: 0.1})
    # A right answer's is known anyway.
    assert (assumed.assumed, known.assumed) == (1, 0)
    assert assumed.error == 0.5
    assert known.error == 0.25
    assert [(each.low, each.images) for each in known.bins] == [(7 / BINS, 1), (14 / BINS, 1)]


def test_the_least_sure_are_refused_first() -> None:
    classes, labels = [0, 0, 0, 1], [0, 0, 0, 0]
    found = reliability(predicted(classes, labels, [1.0, 0.875, 0.75, 0.375]), {})
    half = found.refusals[-1]
    assert found.refusals[0] == Refusal(0, 4, 3, 0.625)
    assert half == Refusal(2, 2, 2, 0.875)
    assert (found.refusals[0].accuracy, half.accuracy) == (0.75, 1.0)
    assert [each.accuracy for each in found.curve] == [0.75, 1.0, 1.0, 1.0]


def test_images_that_all_miss_are_named_the_worst_first_with_what_most_take_them_for() -> None:
    labels = [0, 1, 2, 0]
    first = predicted([1, 2, 2, 0], labels, [0.25, 0.125, 0.5, 1.0])
    second = predicted([2, 2, 0, 1], labels, [0.25, 0.0, 0.25, 0.25])
    third = predicted([1, 0, 2, 0], labels, [0.25, 0.0, 0.5, 1.0])
    assert missed_by_all([first, second, third]) == [
        MissedImage(1, 1, 2, 2, pytest.approx(0.125 / 3)),  # type: ignore[arg-type]
        MissedImage(0, 0, 1, 2, 0.25),
    ]


def test_good_are_the_best_quarter_of_three_or_more() -> None:
    assert good_trials([5, 2]) == ()
    assert good_trials([5, 2, 9, 4]) == (5, 2, 9)
    assert good_trials(range(40)) == tuple(range(10))
    assert len(good_trials(range(1000))) == 20


def test_the_confusion_matrix_counts_every_image_once() -> None:
    numbers = np.random.default_rng(0)
    labels, classes = numbers.integers(0, 300, (2, 5000))
    answers = predicted(list(classes), list(labels), [0.5] * 5000)
    assert isinstance(answers, SplitPredictions)
    expected = np.zeros((300, 300), int)
    np.add.at(expected, (labels, classes), 1)
    assert confusion_of(answers, 300) == expected.tolist()
