"""What practitioners begin with: where a search that learns draws its first trials."""

import random
from collections.abc import Mapping

from search.space.augmentations import present_augmentation
from search.space.domains import Choice, Off, Range, Value
from search.space.parameters import PARAMETERS, is_on, switched


def usual_domain(name: str) -> Choice | Range | None:
    """Where practitioners begin with a parameter or a switch; `None`: anywhere.

    >>> usual_domain("normalization"), usual_domain("l1.on")
    (Choice(options=('batch',), optional=False), Choice(options=(False,), optional=False))
    """
    parameter = switched(name)
    if parameter is not None:
        return Choice((False,)) if isinstance(parameter.usual, Off) else None
    usual = PARAMETERS[name].usual
    return None if isinstance(usual, Off) else usual


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
    usual = usual_domain(name) if is_heeded else None
    if isinstance(domain, Choice):
        allowed = [
            option
            for option in domain.options
            if isinstance(usual, Choice) and _present(name, option) in usual.options
        ]
        return generator.choice(allowed or domain.options)
    return _drawn_within(domain, usual if isinstance(usual, Range) else None, generator)


def _drawn_within(domain: Range, part: Range | None, generator: random.Random) -> Value:
    # The range is what both hold, or anything of the domain where that is nothing.
    low, high = 0.0, 1.0
    if part is not None and part.high > domain.low and part.low < domain.high:
        low, high = (
            domain.share_of(min(max(end, domain.low), domain.high)) for end in (part.low, part.high)
        )
    return domain.at(generator.uniform(low, high))


def held_together(
    values: Mapping[str, Value], domains: Mapping[str, Choice | Range], generator: random.Random
) -> dict[str, Value]:
    """The values of a configuration, those of `domains` drawn anew that diverge without the
    normalization that it has not.

    >>> steep = {"optimizer": "sgd", "sgd.learning_rate": 0.06, "normalization": "none"}
    >>> rates = {"sgd.learning_rate": Range(0.01, 0.5, log=True)}
    >>> 0.01 <= held_together(steep, rates, random.Random(1))["sgd.learning_rate"] <= 0.02
    True
    """
    held = dict(values)
    if is_on("normalization", values.get("normalization")):
        return held
    for name in (each for each in values if each in domains):
        parameter, domain = PARAMETERS.get(name), domains[name]
        calm = None if parameter is None else parameter.unnormalized
        if calm is not None and isinstance(domain, Range) and not calm.holds(held[name]):
            held[name] = _drawn_within(domain, calm, generator)
    return held


def _present(name: str, option: Value) -> Value:
    return present_augmentation(str(option)) if name == "augmentation" else option


def _usual_off(name: str, domain: Choice | Range) -> Value | None:
    """The neutral value of what is usually off, where the domain holds it and has no switch."""
    parameter = PARAMETERS.get(name)
    if parameter is None or domain.optional or not isinstance(parameter.usual, Off):
        return None
    return parameter.off if domain.holds(parameter.off) else None
