"""Learning-rate schedules as pure functions of the optimizer step: a run resumes by counting on. No
torch.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from objectives import hyperparameters as hp


@dataclass(frozen=True)
class Plan:
    """The planned length of a run, which every schedule is stretched over."""

    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def epoch(self, step: int) -> int:
        """The epoch, counted from 0, that an optimizer step is in."""
        return step // self.steps_per_epoch


# There is one validation loss a finished epoch.
Losses = Sequence[float]


def _constant(options: hp.Constant, step: int, plan: Plan, losses: Losses) -> float:
    return 1.0


def _step(options: hp.Step, step: int, plan: Plan, losses: Losses) -> float:
    # The period in epochs, rounded to a whole number and at least one.
    period = max(1, round(options.period * plan.epochs))
    return options.factor ** (plan.epoch(step) // period)


def _multistep(options: hp.MultiStep, step: int, plan: Plan, losses: Losses) -> float:
    # Milestones in epochs, rounded to whole numbers and at least one; two on the same epoch act
    # there both.
    milestones = (max(1, round(share * plan.epochs)) for share in (options.first, options.second))
    return math.prod(options.factor for milestone in milestones if plan.epoch(step) >= milestone)


def _exponential(options: hp.Exponential, step: int, plan: Plan, losses: Losses) -> float:
    # 1 in the first epoch, final_ratio in the last; a run of one epoch stays at 1.
    return math.pow(options.final_ratio, plan.epoch(step) / max(1, plan.epochs - 1))


def _plateau(options: hp.Plateau, step: int, plan: Plan, losses: Losses) -> float:
    # The rule is that of torch's ReduceLROnPlateau at its defaults: better is below (1 - 1e-4) of
    # the best; after more than `patience` epochs in a row that are not, the rate is reduced and the
    # count begins again. The losses are all of its state.
    patience = round(options.patience * plan.epochs)
    factor, best, waited = 1.0, math.inf, 0
    for loss in losses[: plan.epoch(step)]:
        waited = 0 if loss < best * (1 - PLATEAU_THRESHOLD) else waited + 1
        best = loss if waited == 0 else best
        if waited > patience:
            factor, waited = factor * options.factor, 0
    return factor


def _cosine(options: hp.Cosine, step: int, plan: Plan, losses: Losses) -> float:
    # Loshchilov & Hutter 2017 without restarts. Step 0 has 1; the value 0 belongs to the step after
    # the last, so that no step is wasted on it.
    return 0.5 * (1 + math.cos(math.pi * step / plan.steps))


def _onecycle(options: hp.OneCycle, step: int, plan: Plan, losses: Losses) -> float:
    # Smith & Topin 2018 as torch's OneCycleLR has it, momentum left alone: half a cosine from 1/25
    # to 1, and another down to 1/25 of 1e-4 in the last step. Neither the foot of the rise nor the
    # last step learns anything, so a run needs one besides: the only step has the full rate, and
    # the first of two is never below the top.
    top, last = options.rise * plan.steps - 1, plan.steps - 1
    if last == 0:
        return 1.0
    if last == 1:
        top = min(top, 0.0)
    if step < top:
        return _half_cosine(ONECYCLE_START, 1.0, step / top)
    if step == top:
        return 1.0
    return _half_cosine(1.0, ONECYCLE_START * ONECYCLE_END, (step - top) / (last - top))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


PLATEAU_THRESHOLD = 1e-4
# The rate begins at this share of the learning rate.
ONECYCLE_START = 1 / 25
# The rate ends at this share of its start.
ONECYCLE_END = 1e-4

SCHEDULERS: dict[str, Callable[..., float]] = {
    "constant": _constant,
    "step": _step,
    "multistep": _multistep,
    "exponential": _exponential,
    "plateau": _plateau,
    "cosine": _cosine,
    "onecycle": _onecycle,
}


def learning_rate_factor(
    scheduler: hp.Scheduler, step: int, plan: Plan, losses: Losses = ()
) -> float:
    """What the learning rate is multiplied by in optimizer step `step` (0-based, counted over the
    whole run).

    It is 1 where that is the only step of the run, whatever the schedule. `losses` are the
    validation losses of the epochs before it, for plateau alone.
    """
    return SCHEDULERS[scheduler.name](scheduler, step, plan, losses)


def warmup_factor(share: float, step: int, plan: Plan) -> float:
    """What the scheduled rate is multiplied by besides: linear up to 1 in `share` of the run (Goyal
    et al. 2017).

    It is 1 from the first step on where the share is less than two steps' worth, as in a run of one
    step.
    """
    return min(1.0, (step + 1) / max(1.0, share * plan.steps))
