"""Which trials may be compared before their end."""

import pytest

from objectives import hyperparameters as hp
from search.algorithms.likeness import Likeness, anneals, likeness


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (hp.Constant(), [False] * 7),
        (hp.Cosine(), [True] * 7),
        (hp.Step(period=0.5, factor=0.1), [True] * 4 + [False] * 3),
        (hp.Step(period=0.5, factor=0.7), [False] * 7),
        (hp.Exponential(final_ratio=0.01), [True] * 6 + [False]),
        (hp.Exponential(final_ratio=0.4), [True] * 2 + [False] * 5),
        (hp.MultiStep(first=0.3, second=0.75, factor=0.5), [True] * 2 + [False] * 5),
        (hp.OneCycle(rise=0.3), [True] * 7),
        # Nobody knows what plateau will do.
        (hp.Plateau(patience=0.1, factor=0.1), [False] * 7),
    ],
)
def test_a_schedule_anneals_while_most_of_its_rate_is_still_to_go(
    scheduler: hp.Scheduler, expected: list[bool]
) -> None:
    assert [anneals(scheduler, epoch, 8) for epoch in range(1, 8)] == expected


BASE = (("optimizer", "sgd"), ("sgd.learning_rate", 0.1), ("batch_size", 64))


@pytest.mark.parametrize(
    ("more", "regularized"),
    [
        ((), False),
        ((("dropout.on", False), ("l1.on", False), ("augmentation", "none")), False),
        ((("sgd.weight_decay", 1e-3),), False),
        ((("dropout", 0.0),), False),
        ((("dropout", 0.1),), True),
        ((("label_smoothing", 0.1),), True),
        ((("l1", 1e-5),), True),
        ((("augmentation", "shift"), ("augmentation.strength", 0.2)), True),
    ],
)
def test_a_configuration_is_regularized_by_what_slows_its_first_epochs(
    more: tuple[tuple[str, str | float | bool], ...], regularized: bool
) -> None:
    assert likeness((*BASE, *more), 2, 8) == Likeness(anneals=False, regularized=regularized)
