"""The trials that no other trial beats in everything: numbers from records."""

from collections.abc import Iterable

from storage.direction import Direction
from storage.records import TrialRecord


def pareto_front(trials: Iterable[TrialRecord], direction: Direction) -> list[TrialRecord]:
    """Complete trials that no other complete one dominates, by value, the best first; costs are
    minimized.

    One dominates another if it is as good or better in the metric and in every cost, and better in
    at least one. Equal trials do not dominate each other.
    """
    points = [
        ((-direction.raised(trial.value), *trial.costs), trial)
        for trial in trials
        if trial.state == "complete" and trial.value is not None
    ]
    front = [
        (point, trial)
        for point, trial in points
        if not any(_dominates(other, point) for other, _ in points)
    ]
    return [trial for _, trial in sorted(front, key=lambda pair: (pair[0], pair[1].number))]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    # Both to be minimized.
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
