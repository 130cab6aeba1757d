"""The front is what a search of every pair leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.pareto import pareto_front
from storage.direction import Direction
from storage.records import TrialRecord


def trial(number: int, value: float | None, *costs: float, state: str = "complete") -> TrialRecord:
    return TrialRecord(
        number=number,
        state=state,  # type: ignore[arg-type]
        value=value,
        costs=costs,
        parameters={},
        epochs=(),
        attempts=1,
        device=None,
        threads=None,
        reason=None,
        started_ms=None,
        ended_ms=None,
    )


def test_a_front_by_hand() -> None:
    trials = [
        trial(0, 0.90, 100, 5.0),
        # Trial 1 beats trial 0.
        trial(1, 0.95, 100, 5.0),
        trial(2, 0.97, 200, 9.0),
        # Trial 2 beats trial 3.
        trial(3, 0.97, 200, 9.5),
        # Trial 4 is the fastest.
        trial(4, 0.80, 100, 4.0),
        # Trials 5 and 1 are equal: neither beats the other.
        trial(5, 0.95, 100, 5.0),
        trial(6, 0.99, 50, 1.0, state="pruned"),
        trial(7, None, state="failed"),
    ]
    assert [each.number for each in pareto_front(trials, Direction.UP)] == [2, 1, 5, 4]
    assert [each.number for each in pareto_front(trials, Direction.DOWN)] == [4]


@pytest.mark.parametrize("direction", Direction)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_nothing_on_the_front_is_beaten_and_all_else_is(
    direction: Direction, points: list[tuple[int, int, int]]
) -> None:
    trials = [trial(number, value, *costs) for number, (value, *costs) in enumerate(points)]
    front = {each.number for each in pareto_front(trials, direction)}
    for number, (value, *costs) in enumerate(points):
        beaten = any(
            (other >= value if direction == "maximize" else other <= value)
            and all(mine <= theirs for mine, theirs in zip(others, costs, strict=True))
            and (other, others) != (value, costs)
            for other, *others in points
        )
        assert (number in front) == (not beaten)
