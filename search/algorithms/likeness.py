"""Which trials may be compared before their end: those that have as much to come. A function of
their parameters.
"""

from dataclasses import dataclass
from functools import lru_cache

from objectives import hyperparameters as hp
from objectives.schedulers import Plan, learning_rate_factor
from search.space.configuration import Configuration
from search.space.domains import Value
from search.space.parameters import is_on

# From the epoch that is judged to the last one the learning rate falls below this share: the trial
# still anneals, and has the gain of that before it.
STILL_FALLS_TO = 0.5
# Techniques that slow the first epochs down for a better end; weight decay at its usual strengths
# does not.
REGULARIZING = ("l1", "dropout", "augmentation", "label_smoothing")
# Trials with one of those are judged first after so many times min_epochs.
FIRST_JUDGED_LATER = 1.5
# An epoch counts so many steps: schedules are stretched over the run, so the true number changes
# next to nothing.
_STEPS = 100


@dataclass(frozen=True)
class Likeness:
    """What a trial has in common with those that it is compared with."""

    anneals: bool
    regularized: bool


@lru_cache(maxsize=2**16)
def likeness(params: tuple[tuple[str, Value], ...], epoch: int, epochs: int) -> Likeness:
    """Of a configuration (switches may be among it) judged after `epoch` of `epochs`."""
    values = dict(params)
    scheduler = Configuration(values).hyperparameters().scheduler
    return Likeness(
        anneals(scheduler, epoch, epochs),
        any(is_on(name, values.get(name)) for name in REGULARIZING),
    )


def anneals(scheduler: hp.Scheduler, epoch: int, epochs: int) -> bool:
    """Whether most of the learning rate after `epoch` will be gone by the last step.

    What plateau will do is unknown, and does not count; nor does warm-up.
    """
    plan = Plan(epochs, _STEPS)
    now = learning_rate_factor(scheduler, epoch * _STEPS - 1, plan)
    return learning_rate_factor(scheduler, epochs * _STEPS - 1, plan) < STILL_FALLS_TO * now
