"""Recall by class with its interval, and what is taken for what."""

import pytest
from scipy.stats import binomtest

from search.analysis.recalls import Confused, confusions, recalls, wilson_interval

CONFUSION = [[8, 2, 0], [0, 5, 0], [0, 0, 0]]
NAMES = ["cat", "dog", "none of these"]


def test_recalls_come_worst_first_and_a_class_without_images_has_none() -> None:
    found = recalls(CONFUSION, NAMES)
    assert [(each.name, each.right, each.images, each.share) for each in found] == [
        ("cat", 8, 10, 0.8),
        ("dog", 5, 5, 1.0),
    ]
    assert confusions(CONFUSION, NAMES) == [Confused("cat", "dog", 2)]


@pytest.mark.parametrize(("right", "images"), [(0, 1), (1, 1), (3, 7), (97, 100), (1000, 1000)])
def test_the_interval_is_wilsons(right: int, images: int) -> None:
    found = wilson_interval(right, images)
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
