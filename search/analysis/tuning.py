"""Which learning rate an arm of a follow-up gets, by the runs that were trained to find it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from search.analysis.judged import Judged, runs_of, value_of
from search.space.domains import Value
from search.spec.follow_up import ConfirmPlan


def tuned_factor(
    octaves: Sequence[float], metric: str, judged: Sequence[Judged], arm: str
) -> float | None:
    """By how much the arm's learning rate is multiplied; `None` where no run that was to find it
    has finished without diverging. `octaves` are those that the runs try, by seed index.
    """
    from search.analysis.inference.learning_rates import choose_rate
    from search.analysis.inference.noise import noise_of

    tuned = [
        (octaves[each.training.seed_index], each.validation)
        for each in judged
        if each.training.purpose == "tune"
        and each.training.arm == arm
        and each.validation is not None
    ]
    if not tuned:
        return None
    answered = [validation for _, validation in tuned]
    values = [value_of(metric, each) for each in answered]
    direction: Literal["minimize", "maximize"] = "minimize" if metric == "loss" else "maximize"
    noise = noise_of(runs_of(metric, answered))
    return choose_rate([each for each, _ in tuned], values, noise, direction).factor


def with_tuned_baseline(plan: ConfirmPlan, metric: str, judged: Sequence[Judged]) -> ConfirmPlan:
    """The plan, whose neutral baseline has the learning rate that its runs have found."""
    if plan.baseline is None:
        return plan
    factor = tuned_factor(plan.octaves, metric, judged, plan.baseline)
    if factor is None:
        return plan

    return replace(
        plan,
        candidates=tuple(
            replace(each, values=at_rate(each.values, factor))
            if each.arm == plan.baseline
            else each
            for each in plan.candidates
        ),
    )


def at_rate(values: Mapping[str, Value], factor: float) -> dict[str, Value]:
    """The configuration with so many times its learning rate."""
    rate = f"{values['optimizer']}.learning_rate"
    return {**values, rate: float(values[rate]) * factor}
