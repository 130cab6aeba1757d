"""Probabilities are made as believable as one temperature makes them."""

import numpy as np
import pytest

from search.export.calibration import (
    Below,
    Calibration,
    calibrate,
    expected_calibration_error,
    probabilities_of,
)


def test_the_temperature_that_logits_were_multiplied_by_is_found_again() -> None:
    random = np.random.RandomState(0)
    honest = random.normal(0, 2, (20_000, 4)).astype(np.float32)
    shares = probabilities_of(honest, 1.0).astype(np.float64).cumsum(1)
    labels = (shares < random.random_sample((len(honest), 1))).sum(1).clip(0, 3)
    found = calibrate(3 * honest, labels)
    assert found.temperature == pytest.approx(3, rel=0.03)
    assert found.error_before > 0.1
    assert found.error_after < 0.01
    assert found.images == len(labels)


def test_the_error_is_that_of_its_formula() -> None:
    # Confidences 0.9, 0.9, 0.6; right, wrong, right: bins of two and of one.
    logits = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]))
    found = expected_calibration_error(logits, np.array([0, 1, 0]), 1.0)
    assert found == pytest.approx((2 * abs(0.9 - 0.5) + abs(0.6 - 1)) / 3, abs=1e-6)


def test_where_nothing_is_wrong_no_temperature_is_made_up() -> None:
    logits = np.array([[5.0, 0.0], [0.0, 1.0]])
    assert calibrate(logits, np.array([0, 1])).temperature == 1.0


def test_what_lies_below_a_limit_is_counted_and_the_rest_judged() -> None:
    found = Calibration(1.0, 0, 0, ((290, 2, 0), (600, 1, 1), (1000, 1, 0)))
    assert [found.below(limit) for limit in (0.0, 0.29, 0.291, 1.0)] == [
        Below(4, 0, 1),
        Below(4, 0, 1),
        Below(4, 2, 1),
        Below(4, 3, 0),
    ]
    nothing = Calibration(1.0, 0, 0, ((290, 2, 0),)).below(0.9)
    assert (nothing.share, nothing.accuracy, nothing.accuracy_interval) == (1.0, None, None)
