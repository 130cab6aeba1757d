"""What an ablation has found, as a frozen answer: the one source of what is printed, of --json and
of a notebook. Values are fractions; of a loss, nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.analysis.judged import Judged, read_judged, runs_of
from search.analysis.tuning import tuned_factor
from search.spec.definition import stored_spec
from search.spec.follow_up import AblatedArm, AblatePlan
from storage.engine import Database
from storage.studies import StoredStudy

if TYPE_CHECKING:
    from search.analysis.inference.ablation import AblationEffect, AblationJudgement, Arm, Look
    from search.analysis.inference.runs import Runs

# The reference's arm has this name in plans and judged trainings.
REFERENCE = "reference"
# All verdicts of one ablation together may be wrong in this share of ablations.
ALPHA = 0.05
# The usual three looks share it so: search.analysis.inference.ablation.LOOKS.
SHARES = (0.2, 0.3, 0.5)


@dataclass(frozen=True)
class AblatedTechnique:
    """One technique's answer."""

    arm: AblatedArm
    # The effect is None until a look has judged it.
    effect: "AblationEffect | None"
    # The arm's learning rate is this many times the reference's in the search.
    rate_factor: float


@dataclass(frozen=True)
class Ablation:
    """The answer of NAME:ablate:N, as far as its trainings have come."""

    study: str
    parent: str
    metric: str
    direction: str
    state: str
    end_reason: str | None
    # Only trainings that have finished are counted.
    trainings: int
    # The whole takes at most so many trainings.
    planned: int
    plan: AblatePlan
    # The validation split has so many images.
    images: int
    # Every training runs for so many epochs.
    epochs: int
    reference_mean: float | None
    reference_factor: float
    # The techniques keep the plan's order.
    techniques: tuple[AblatedTechnique, ...]
    # Each pair is the seeds of a look, and the smallest effect that it would tell.
    visible: tuple[tuple[int, float], ...]
    # So many looks are over.
    looks: int


def looks_of(plan: AblatePlan) -> "tuple[Look, ...]":
    """The plan's looks, with what each may be wrong by: later ones more, and all together ALPHA."""
    from search.analysis.inference.ablation import Look

    count = len(plan.looks)
    whole = count * (count + 1) / 2
    shares = SHARES if count == len(SHARES) else [(at + 1) / whole for at in range(count)]
    return tuple(
        Look(seeds, ALPHA * share) for seeds, share in zip(plan.looks, shares, strict=True)
    )


def factors(plan: AblatePlan, metric: str, judged: Sequence[Judged]) -> dict[str, float]:
    """By how much each arm's learning rate is multiplied, by the runs that tune; without any, by
    nothing.
    """
    arms = (REFERENCE, *(each.technique for each in plan.arms))
    found = {arm: tuned_factor(plan.octaves, metric, judged, arm) for arm in arms}
    return {arm: factor for arm, factor in found.items() if factor is not None}


def judged_looks(
    plan: AblatePlan, metric: str, judged: Sequence[Judged]
) -> "list[AblationJudgement]":
    """The verdicts of each look whose runs are all there, one after the other: what a look tells
    stands in later ones.
    """
    from search.analysis.inference.ablation import judge

    found: list[AblationJudgement] = []
    told: dict[str, str] = {}
    going_on: Sequence[str] = [each.technique for each in plan.arms]
    for look in looks_of(plan):
        if not _is_over(plan, judged, look.seeds, going_on):
            break
        reference = _runs(metric, judged, REFERENCE, 2 * look.seeds)
        if reference is None or reference.count < 2:
            break
        arms = [_arm(metric, judged, each, look.seeds, reference) for each in plan.arms]
        judgement = judge(reference, arms, look, told=told)  # type: ignore[arg-type]
        told = {each.name: each.verdict for each in judgement.effects if each.verdict != "not told"}
        found.append(judgement)
        going_on = judgement.goes_on
    return found


def _is_over(
    plan: AblatePlan, judged: Sequence[Judged], seeds: int, going_on: Sequence[str]
) -> bool:
    done = {
        (each.training.arm, each.training.seed_index)
        for each in judged
        if each.training.purpose == "judge" and each.trial is not None
    }
    wanted = {(REFERENCE, index) for index in range(2 * seeds)}
    wanted |= {(arm, index) for arm in going_on for index in range(seeds)}
    return bool(going_on) and wanted <= done


def _of_arm(judged: Sequence[Judged], arm: str, seeds: int) -> list[Judged]:
    return [
        each
        for each in judged
        if each.training.purpose == "judge"
        and each.training.arm == arm
        and each.training.seed_index < seeds
        and each.trial is not None
    ]


def _runs(metric: str, judged: Sequence[Judged], arm: str, seeds: int) -> "Runs | None":
    answered = [
        each.validation for each in _of_arm(judged, arm, seeds) if each.validation is not None
    ]
    return runs_of(metric, answered) if answered else None


def _arm(
    metric: str, judged: Sequence[Judged], each: AblatedArm, seeds: int, like: "Runs"
) -> "Arm":
    from dataclasses import replace

    from search.analysis.inference.ablation import Arm

    found = _runs(metric, judged, each.technique, seeds)
    diverged = sum(one.has_diverged for one in _of_arm(judged, each.technique, seeds))
    none = replace(
        like, scores=like.scores[:0], right=None if like.right is None else like.right[:0]
    )
    return Arm(each.technique, none if found is None else found, each.adds, diverged)


def read_ablation(database: Database, stored: StoredStudy) -> Ablation:
    """The answer of a study that is an ablation, as it stands."""
    from search.analysis.inference.ablation import visible_effect

    assert stored.follow_up is not None
    plan = AblatePlan.from_json(stored.follow_up.plan)
    spec = stored_spec(stored)
    judged = read_judged(database, stored)
    looks = judged_looks(plan, spec.metric, judged)
    found = factors(plan, spec.metric, judged)
    effects = {} if not looks else {each.name: each for each in looks[-1].effects}
    most = max(plan.looks)
    reference = _runs(spec.metric, judged, REFERENCE, 2 * most)
    visible = []
    for look, _ in zip(looks_of(plan), looks, strict=False):
        if reference is not None:
            arms = [_arm(spec.metric, judged, each, look.seeds, reference) for each in plan.arms]
            if any(arm.runs.count > 1 for arm in arms):
                visible.append((look.seeds, visible_effect(reference, arms, look)))
    answered = next((each.validation for each in judged if each.validation is not None), None)
    return Ablation(
        stored.name,
        stored.follow_up.parent_name,
        spec.metric,
        spec.direction,
        stored.state,
        stored.end_reason,
        sum(each.trial is not None for each in judged),
        stored.budget.trials,
        plan,
        0 if answered is None else len(answered.labels),
        spec.training.epochs,
        None if reference is None else float(reference.values.mean()),
        found.get(REFERENCE, 1.0),
        tuple(
            AblatedTechnique(each, effects.get(each.technique), found.get(each.technique, 1.0))
            for each in plan.arms
        ),
        tuple(visible),
        len(looks),
    )
