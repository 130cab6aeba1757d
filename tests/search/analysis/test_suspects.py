"""Labels that all good trials contradict."""

import numpy as np
import pytest

from search.analysis.suspects import Suspect, good_trials, suspects
from storage.direction import Direction
from storage.predictions import SplitPredictions
from storage.records import TrialRecord


def answered(classes: list[int], given: list[float], sha256: str = "a") -> SplitPredictions:
    labels = np.array([0, 0, 1, 1], dtype=np.uint16)
    return SplitPredictions(
        "validation", sha256, labels, np.array(classes, np.uint16), np.array(given, np.float16)
    )


def trial(number: int, value: float | None) -> TrialRecord:
    state = "pruned" if value is None else "complete"
    return TrialRecord(number, state, value, (), {}, (), 1, None, None, None, None, None)  # type: ignore[arg-type]


def test_those_that_all_contradict_come_with_the_least_likely_label_first() -> None:
    networks = [
        answered([1, 1, 0, 1], [0.25, 0.125, 0.25, 0.9]),
        answered([1, 2, 1, 0], [0.25, 0.0, 0.75, 0.1]),
        answered([1, 2, 0, 0], [0.25, 0.0, 0.25, 0.1]),
    ]
    found = suspects(networks, 9)
    assert found == [
        Suspect(1, 0, pytest.approx(0.125 / 3), 2),  # type: ignore[arg-type]
        Suspect(0, 0, 0.25, 1),
    ]
    assert suspects(networks, 1) == found[:1]


@pytest.mark.parametrize(("direction", "good"), [(Direction.UP, [4, 0]), (Direction.DOWN, [2, 0])])
def test_good_trials_are_the_better_half_with_predictions_of_the_same_images(
    direction: Direction, good: list[int]
) -> None:
    values = [0.5, None, 0.1, 0.7, 0.9]
    trials = [trial(number, value) for number, value in enumerate(values)]
    same, other = answered([0] * 4, [0.5] * 4), answered([0] * 4, [0.5] * 4, "b")
    # Trial 3 has recorded nothing; trial 5 is on other images.
    predictions = {0: same, 2: same, 4: same, 5: other}
    assert good_trials([*trials, trial(5, 0.3)], direction, predictions) == good
    assert good_trials(trials, direction, {}) == []
    assert good_trials(trials, direction, {2: same}) == [2]
