"""Every metric is the mean of scores: the product's own evaluation gives the same values."""

import numpy as np
import pytest
import torch

from objectives.evaluation import Evaluation
from search.analysis.inference.components import components, variance_of_mean
from search.analysis.inference.runs import (
    accuracy,
    balanced_accuracy,
    loss,
    losses_of,
    macro_f1,
)

RANDOM = np.random.default_rng(3)
LABELS = RANDOM.choice(5, 300, p=[0.5, 0.3, 0.15, 0.03, 0.02])
PREDICTED = np.where(RANDOM.random((4, 300)) < 0.85, LABELS, RANDOM.integers(0, 6, (4, 300)))
RIGHT = PREDICTED == LABELS


def evaluations() -> list[Evaluation]:
    pairs = [np.bincount(LABELS * 7 + run, minlength=49).reshape(7, 7) for run in PREDICTED]
    return [Evaluation(0.0, torch.tensor(confusion)) for confusion in pairs]


def test_values_are_those_of_the_evaluation() -> None:
    found = {
        "accuracy": accuracy(RIGHT).values,
        "balanced_accuracy": balanced_accuracy(RIGHT, LABELS).values,
        "macro_f1": macro_f1(PREDICTED, LABELS).values,
    }
    for name, values in found.items():
        assert values.tolist() == pytest.approx([getattr(each, name) for each in evaluations()])


def test_an_f1_score_is_the_influence_of_its_image() -> None:
    def value(taken: np.ndarray) -> float:
        return float(macro_f1(PREDICTED[:1, taken], LABELS[taken]).values[0])

    # F1 of all images 200 times is F1; one image once more is nearly a derivative.
    often = np.tile(np.arange(300), 200)
    scores, whole = macro_f1(PREDICTED[:1], LABELS).scores[0], value(np.arange(300))
    images = (0, 1, 2, 3, *np.flatnonzero(~RIGHT[0])[:8])
    by_hand = [len(often) * (value(np.append(often, image)) - whole) for image in images]
    assert [scores[image] - whole for image in images] == pytest.approx(by_hand, abs=0.01)


def test_the_part_between_images_is_by_class_for_balanced_accuracy() -> None:
    runs = balanced_accuracy(RIGHT, LABELS)
    means = RIGHT.mean(axis=0)
    counts = np.bincount(LABELS)
    variances = [means[np.flatnonzero(k == LABELS)].var(ddof=1) for k in range(5)]
    by_hand = (np.array(variances) / counts).sum() / 25
    assert components(runs).image_variance_of_mean == pytest.approx(by_hand)
    assert runs.weight == pytest.approx(25 / (1 / counts).sum())


def test_with_classes_of_one_size_balanced_accuracy_is_accuracy_without_their_differences() -> None:
    labels = np.arange(300) % 5
    plain, balanced = accuracy(RIGHT), balanced_accuracy(RIGHT, labels)
    assert balanced.values.tolist() == pytest.approx(plain.values.tolist())
    assert balanced.weight == pytest.approx(300)
    means = RIGHT.mean(axis=0)
    between = np.var([means[labels == k].mean() for k in range(5)], ddof=0)
    total = components(plain).image_variance_of_mean * 299
    within = components(balanced).image_variance_of_mean * (300 / 5 - 1) * 5
    assert total == pytest.approx(within + between)


def test_a_class_of_one_image_varies_as_the_others_do() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    recalls = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    scores = recalls * (6 / (3 * np.array([3, 3, 3, 2, 2, 1])))
    within = {0: 1 / 3, 1: 1 / 2, 2: (1 / 3 + 1 / 2) / 2}
    by_hand = (within[0] / 3 + within[1] / 2 + within[2] / 1) / 9
    assert variance_of_mean(scores, labels) == pytest.approx(by_hand)


def test_losses_come_back_from_stored_probabilities() -> None:
    stored = np.array([[1.0, 0.5, 0.0]], np.float16)
    assert losses_of(stored)[0].tolist() == pytest.approx([0.0, np.log(2), 24 * np.log(2)])
    runs = loss(np.array([[0.1, 0.3], [0.2, 0.4]]))
    assert (runs.values.tolist(), runs.sign, runs.highest) == (
        pytest.approx([0.2, 0.3]),
        -1,
        np.inf,
    )
