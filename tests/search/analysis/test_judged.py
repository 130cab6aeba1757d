"""What trainings of a follow-up answered, as the metric of the study has it."""

import pytest

from objectives.names import METRIC_DIRECTIONS
from search.analysis.judged import value_of
from tests.search.report.made_up_page import predicted


def test_every_metric_is_computed_from_what_is_recorded_and_no_other_is_taken_for_one() -> None:
    answered = predicted([0, 0, 1, 0], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5])
    values = {metric: value_of(metric, answered) for metric in METRIC_DIRECTIONS}
    assert values == {
        "accuracy": 0.75,
        "balanced_accuracy": 0.75,
        "macro_f1": pytest.approx((4 / 5 + 2 / 3) / 2),
        "loss": pytest.approx(0.6931, abs=1e-3),
    }
    with pytest.raises(KeyError, match="top5"):
        value_of("top5", answered)
