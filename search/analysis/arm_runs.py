"""What is said of the runs of configurations: all on the search's validation images, or each on a
fold of its own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from search.analysis.judged import Judged, runs_of

if TYPE_CHECKING:
    from search.analysis.inference.best_set import BestSet, Visible
    from search.analysis.inference.differences import Difference
    from search.analysis.inference.intervals import Estimate
    from search.analysis.inference.luck import Luck
    from search.analysis.inference.resplit import ResplitRuns
    from search.analysis.inference.runs import Runs

    ArmRuns: TypeAlias = Runs | ResplitRuns


def arm_runs(metric: str, judged: Sequence[Judged], folds: int | None) -> "ArmRuns | None":
    """Of the trainings of one configuration that did not diverge; `None` where there are none.
    `folds` as the plan of the confirmation has them.
    """
    from search.analysis.inference.resplit import ResplitRuns

    answered = {
        each.training.seed_index: each.validation for each in judged if each.validation is not None
    }
    if not answered:
        return None
    if folds is None:
        return runs_of(metric, list(answered.values()))
    by_seed = {index: runs_of(metric, [each]) for index, each in answered.items()}
    return ResplitRuns(by_seed, folds)


def estimate_of(runs: "ArmRuns") -> "Estimate":
    """Of two runs or more."""
    from search.analysis.inference.intervals import estimate
    from search.analysis.inference.resplit import ResplitRuns, resplit_estimate

    return resplit_estimate(runs) if isinstance(runs, ResplitRuns) else estimate(runs)


def best_of(configurations: "Sequence[ArmRuns]", folds: int | None) -> "BestSet":
    """Which may be the best; of two runs or more each."""
    from search.analysis.inference.best_set import best_set
    from search.analysis.inference.resplit import ResplitRuns, resplit_best_set

    if folds is None:
        return best_set([each for each in configurations if not isinstance(each, ResplitRuns)])
    return resplit_best_set([each for each in configurations if isinstance(each, ResplitRuns)])


def visible_of(configurations: "Sequence[ArmRuns]", folds: int | None) -> "Visible | None":
    """The smallest difference that they would show."""
    from search.analysis.inference.best_set import visible_difference
    from search.analysis.inference.resplit import ResplitRuns, resplit_visible

    if folds is None:
        plain = [each for each in configurations if not isinstance(each, ResplitRuns)]
        return visible_difference(plain)
    return resplit_visible([each for each in configurations if isinstance(each, ResplitRuns)])


def difference_of(one: "ArmRuns", other: "ArmRuns") -> "Difference | None":
    """The first one's mean less the second's; `None` where two runs of each cannot be compared."""
    from search.analysis.inference.differences import difference
    from search.analysis.inference.resplit import (
        FEWEST_PAIRED,
        ResplitRuns,
        resplit_difference,
        shared_seeds,
    )

    if isinstance(one, ResplitRuns) and isinstance(other, ResplitRuns):
        enough = len(shared_seeds(one, other)) >= FEWEST_PAIRED
        return resplit_difference(one, other) if enough else None
    if isinstance(one, ResplitRuns) or isinstance(other, ResplitRuns):
        return None
    return difference(one, other) if min(one.count, other.count) >= FEWEST_PAIRED else None


def luck_of(score: float, runs: "ArmRuns") -> "Luck":
    """By how much a score of the search flattered; of two runs or more."""
    from search.analysis.inference.luck import seed_luck
    from search.analysis.inference.resplit import ResplitRuns, resplit_luck

    return resplit_luck(score, runs) if isinstance(runs, ResplitRuns) else seed_luck(score, runs)
