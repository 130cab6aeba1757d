"""Which of the judged configurations may be the best, and which one is chosen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.analysis.arm_runs import arm_runs, best_of
from search.analysis.judged import Judged
from search.spec.follow_up import ConfirmPlan

if TYPE_CHECKING:
    from search.analysis.arm_runs import ArmRuns


@dataclass(frozen=True, eq=False)
class ArmChoice:
    """The judged arms, in the plan's order."""

    # Only arms with a run that did not diverge are listed.
    runs: "dict[str, ArmRuns]"
    diverged: dict[str, int]
    may_be_best: tuple[str, ...]
    # The choice is None where every arm has diverged.
    choice: str | None


def choose(plan: ConfirmPlan, metric: str, judged: Sequence[Judged]) -> ArmChoice:
    """By the validation images and the plan's seeds alone: the highest mean among those that may be
    the best. An arm that has diverged in a run is never chosen, and a pretrained baseline is none
    of those: it is what they are compared with.
    """
    asked = [each for each in judged if each.training.purpose == "judge"]
    arms = [each.arm for each in plan.candidates]
    diverged = Counter(each.training.arm for each in asked if each.has_diverged)
    found_by_arm = {
        arm: arm_runs(metric, [each for each in asked if each.training.arm == arm], plan.folds)
        for arm in arms
    }
    runs = {arm: found for arm, found in found_by_arm.items() if found is not None}
    steady = [
        each.arm
        for each in plan.searched
        if not diverged[each.arm] and each.arm in runs and runs[each.arm].count > 1
    ]
    if not steady:
        return ArmChoice(runs, dict(diverged), (), None)
    found = best_of([runs[arm] for arm in steady], plan.folds)
    best = tuple(arm for arm, may_be in zip(steady, found.may_be_best, strict=True) if may_be)
    return ArmChoice(
        runs, dict(diverged), best, None if found.choice is None else steady[found.choice]
    )
