"""The regression on features: another program's answer, and an honest choice of its strength."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from objectives.regression import (
    STRENGTHS,
    UNJUDGED,
    fit,
    fit_judged,
    held_out_split,
    read_regression,
    regression_bytes,
)

CPU = torch.device("cpu")


def made_up(images: int, classes: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features in clouds around their classes' centres, on scales that differ."""
    random = np.random.RandomState(seed)
    centres = np.random.RandomState(7).standard_normal((classes, 12))
    labels = random.randint(classes, size=images)
    features = centres[labels] + noise * random.standard_normal((images, 12))
    features = features * np.logspace(-2, 2, 12) + 5
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
def test_a_fit_is_the_one_that_scikit_learn_finds(strength: float) -> None:
    features, labels = made_up(200, 4, 1.5)
    standard = ((features - features.mean(0)) / features.std(0)).double()
    found = fit(standard, labels, 4, strength)
    # Its C is the inverse of a penalty on the sum over images, and ours is on their mean.
    expected = LogisticRegression(C=1 / (200 * strength), tol=1e-9, max_iter=5000)
    expected.fit(standard.numpy(), labels.numpy())
    given = found.logits(standard).softmax(1).numpy()
    assert np.abs(given - expected.predict_proba(standard.numpy())).max() < 1e-4


def test_the_strength_is_the_best_on_images_that_were_held_out_and_the_seed_draws_these() -> None:
    # Where classes hardly differ, little is to be believed; where they stand apart, much.
    features, labels = made_up(200, 4, 8.0)
    found = fit_judged(features, labels, 4, seed=1)
    clear = fit_judged(*made_up(200, 4, 0.3), 4, seed=1)
    assert STRENGTHS[0] >= found.strength > clear.strength
    assert torch.equal(fit_judged(features, labels, 4, seed=1).weights, found.weights)
    # Scales do not matter: each feature is brought to mean 0 and deviation 1.
    scaled = fit_judged(features * 100 + 3, labels, 4, seed=1)
    assert scaled.strength == found.strength
    logits = found.logits(features)
    assert torch.allclose(scaled.logits(features * 100 + 3), logits, atol=1e-3)
    again = read_regression(regression_bytes(found), CPU)
    assert torch.equal(again.logits(features), logits)


def test_a_fifth_of_each_class_is_held_out_and_never_all_of_it() -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 7, 2, 1])
    kept, held_out = held_out_split(labels, seed=0)
    assert np.bincount(labels[held_out], minlength=4).tolist() == [10, 1, 1, 0]
    assert sorted([*kept, *held_out]) == list(range(60))
    assert held_out.tolist() != held_out_split(labels, seed=1)[1].tolist()


def test_where_no_class_has_two_images_the_strength_is_said() -> None:
    features, _ = made_up(3, 3, 1.0)
    assert fit_judged(features, torch.arange(3), 3, seed=0).strength == UNJUDGED
