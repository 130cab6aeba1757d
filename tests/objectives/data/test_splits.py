"""A stratified split takes what it is asked for, of each class its share, and the same images for
ever.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from objectives.data.splits import stratified_split


@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=8),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32 - 1),
)
def test_a_stratified_split_takes_exactly_its_fraction_and_leaves_every_class_on_both_sides(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    total = round(fraction * len(labels))
    if not len(counts) <= total <= len(labels) - len(counts):
        return
    stay, taken = stratified_split(labels, fraction, seed)
    assert sorted([*stay, *taken]) == list(range(len(labels)))
    assert len(taken) == total
    assert set(labels[stay]) == set(labels[taken]) == set(range(len(counts)))


def test_a_stratified_split_shares_by_largest_remainder() -> None:
    # The share of 30 % of 40 is 12; the exact shares are 3.0, 3.9 and 5.1.
    labels = np.repeat([0, 1, 2], [10, 13, 17])
    _, taken = stratified_split(labels, 0.3, seed=0)
    assert np.bincount(labels[taken]).tolist() == [3, 4, 5]


def test_a_class_too_small_for_its_fraction_takes_its_image_from_the_largest() -> None:
    # The share of 10 % of 30 is 3; the exact shares are 2.6, 0.2 and 0.2.
    labels = np.repeat([0, 1, 2], [26, 2, 2])
    _, taken = stratified_split(labels, 0.1, seed=0)
    assert np.bincount(labels[taken]).tolist() == [1, 1, 1]


def test_a_split_is_the_same_in_every_release_of_numpy() -> None:
    _, taken = stratified_split(np.repeat([0, 1], 10), 0.3, seed=7)
    assert taken.tolist() == [0, 5, 8, 11, 12, 13]
