"""Which trial is better is one order, whoever asks."""

from itertools import permutations

import pytest

from objectives.names import METRIC_DIRECTIONS
from storage.direction import Direction

# Each is (value, validation loss, number), the best first where higher is better.
RANKED = [
    (0.9, 0.2, 7),
    (0.8, 0.1, 3),
    (0.8, 0.1, 5),
    (0.8, 0.3, 0),
    (0.8, None, 1),
    (-0.1, 0.1, 2),
    (None, 0.1, 4),
]


def test_value_comes_first_then_the_lower_loss_then_the_lower_number() -> None:
    for shuffled in list(permutations(RANKED))[::100]:
        assert sorted(shuffled, key=lambda each: Direction.UP.order(*each)) == RANKED
    turned = [(None if value is None else -value, loss, number) for value, loss, number in RANKED]
    backwards = list(reversed(turned))
    assert sorted(backwards, key=lambda each: Direction.DOWN.order(*each)) == turned


@pytest.mark.parametrize(
    ("direction", "best", "worst"), [(Direction.UP, 0.9, 0.1), (Direction.DOWN, 0.1, 0.9)]
)
def test_better_is_higher_or_lower_and_never_equal(
    direction: Direction, best: float, worst: float
) -> None:
    assert (direction.best([0.5, best, worst]), direction.best([])) == (best, None)
    assert (direction.worst([0.5, best, worst]), direction.worst([])) == (worst, None)
    assert direction.is_better(best, than=worst)
    assert not direction.is_better(worst, than=best)
    assert not direction.is_better(best, than=best)
    assert direction.raised(direction.raised(best)) == best


def test_the_direction_of_every_metric_is_known() -> None:
    assert {name: Direction(text).is_up for name, text in METRIC_DIRECTIONS.items()} == {
        "accuracy": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "loss": False,
    }
