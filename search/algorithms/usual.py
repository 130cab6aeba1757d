"""What practitioners begin with: where a search that learns draws its first trials."""

import random

from search.space.domains import Choice, Range, Value
from search.space.parameters import PARAMETERS, present_augmentation

_ADAPTIVE, _OFF = Range(1e-3, 4e-3), Choice((False,))
# Weights for ReLU: He et al. 2015. Batch normalization: Ioffe and Szegedy 2015; beside it no
# dropout: Li et al. 2019, "Understanding the Disharmony between Dropout and Batch Normalization".
# Schedules that anneal to nothing: Loshchilov and Hutter 2017; Smith 2018. Small batches: Masters
# and Luschi 2018. Images moved a little, and mirrored where that means the same: LeCun et al. 1998;
# He et al. 2016. Learning rates: about those of the optimizers' authors.
USUAL: dict[str, Choice | Range] = {
    "optimizer": Choice(("sgd", "adam", "adamw")),
    "batch_size": Choice((32, 64)),
    "sgd.learning_rate": Range(0.02, 0.1),
    "sgd.momentum": Range(0.85, 0.95),
    "adagrad.learning_rate": Range(0.01, 0.05),
    "rmsprop.learning_rate": Range(5e-4, 3e-3),
    **{f"{name}.learning_rate": _ADAPTIVE for name in ("adam", "adamw", "nadam", "radam")},
    "scheduler": Choice(("cosine", "onecycle")),
    "l1.on": _OFF,
    "dropout.on": _OFF,
    "augmentation": Choice(("shift", "shift+flip", "random_resized_crop+flip")),
    "augmentation.strength": Range(0.1, 0.5),
    "initializer": Choice(("he_normal",)),
    "input_normalization": Choice(("standard",)),
    "normalization": Choice(("batch",)),
}


def adherence(number: int, trials: int) -> float:
    """How likely each parameter of drawn trial `number` is what is usual: the first keeps to all,
    the others to less.

    >>> [adherence(number, 5) for number in range(5)]
    [1.0, 0.9, 0.8, 0.7, 0.6]
    """
    return 1 - number / (2 * trials)


def usual_value(
    name: str,
    domain: Choice | Range,
    adherence: float,
    generator: random.Random,
    *,
    by_switch: bool = False,
) -> Value:
    """What is usual, so likely and as far as the domain allows it; else any of its values.

    What is usually off is drawn at its neutral value where it has no switch, unless it is off
    `by_switch` alone.

    >>> usual_value("normalization", Choice(("none", "batch")), 1.0, random.Random(1))
    'batch'
    >>> usual_value("dropout", Choice((0.25, 0.0)), 1.0, random.Random(1))
    0.0
    """
    is_heeded = generator.random() < adherence
    if is_heeded and not by_switch and (off := _usual_off(name, domain)) is not None:
        return off
    usual = USUAL.get(name) if is_heeded else None
    if isinstance(domain, Choice):
        allowed = [
            option
            for option in domain.options
            if isinstance(usual, Choice) and _present(name, option) in usual.options
        ]
        return generator.choice(allowed or domain.options)
    low, high = 0.0, 1.0
    if isinstance(usual, Range) and usual.high > domain.low and usual.low < domain.high:
        low, high = (
            domain.share_of(min(max(end, domain.low), domain.high))
            for end in (usual.low, usual.high)
        )
    return domain.at(generator.uniform(low, high))


def _present(name: str, option: Value) -> Value:
    return present_augmentation(str(option)) if name == "augmentation" else option


def _usual_off(name: str, domain: Choice | Range) -> Value | None:
    """The neutral value of what is usually off, where the domain holds it and has no switch."""
    parameter = PARAMETERS.get(name)
    if (
        parameter is None
        or parameter.off is None
        or domain.optional
        or USUAL.get(parameter.switch) != _OFF
    ):
        return None
    return parameter.off if domain.holds(parameter.off) else None
