"""Learning-rate schedules as pure functions of the optimizer step: a run resumes by counting on. No torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from objectives import hyperparameters as hp


@dataclass(frozen=True)
class Plan:
    """The planned length of a run, which every schedule is stretched over."""

    epochs: int
    steps_per_epoch: int


def _constant(options: hp.Constant, step: int, plan: Plan) -> float:
    return 1.0


def _step(options: hp.Step, step: int, plan: Plan) -> float:
    # The period in epochs, rounded to a whole number and at least one.
    period = max(1, round(options.period * plan.epochs))
    return options.factor ** (step // plan.steps_per_epoch // period)


def _exponential(options: hp.Exponential, step: int, plan: Plan) -> float:
    # 1 in the first epoch, final_ratio in the last; a run of one epoch stays at 1.
    return math.pow(options.final_ratio, step // plan.steps_per_epoch / max(1, plan.epochs - 1))


def _cosine(options: hp.Cosine, step: int, plan: Plan) -> float:
    # Loshchilov & Hutter 2017 without restarts. Step 0 has 1; the value 0 belongs to the step after the last, so that
    # no step is wasted on it.
    return 0.5 * (1 + math.cos(math.pi * step / (plan.epochs * plan.steps_per_epoch)))


SCHEDULERS: dict[str, Callable[..., float]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
}


def learning_rate_factor(scheduler: hp.Scheduler, step: int, plan: Plan) -> float:
    """What the learning rate is multiplied by in optimizer step `step` (0-based, counted over the whole run)."""
    return SCHEDULERS[scheduler.name](scheduler, step, plan)
