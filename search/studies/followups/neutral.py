"""A configuration without a technique, or without all of them."""

from collections.abc import Mapping

from search.space.domains import Value
from search.space.parameters import PARAMETERS, TECHNIQUES, is_on, neutral_value


def own_values(technique: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """What of the configuration belongs to the technique, switches included; of its own optimizer
    and schedule, as no other is there.
    """
    names = {
        name
        for each in PARAMETERS.values()
        if each.technique == technique
        for name in (each.name, each.switch)
    }
    return {name: value for name, value in values.items() if name in names}


def uses(technique: str, values: Mapping[str, Value]) -> bool:
    """Whether the configuration has the technique at other than its neutral value."""
    own = own_values(technique, values)
    main = PARAMETERS.get(technique)
    if main is not None:
        return technique in own and is_on(technique, own[technique])
    return any(is_on(name, value) for name, value in own.items() if name in PARAMETERS)


def without(technique: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """The configuration with the technique at its neutral value, which it must have."""
    own = own_values(technique, values)
    left = {name: value for name, value in values.items() if name not in own}
    main = PARAMETERS.get(technique)
    if main is not None and main.kind == "choice" and main.off is not None:
        left[technique] = main.off
    switches = {name: False for name in own if name not in PARAMETERS}
    # A strength that was always on has no switch: what is not there is off.
    return left | switches


def neutral(values: Mapping[str, Value]) -> dict[str, Value]:
    """The configuration without any technique that it can be without: its optimizer, batch size and
    width stay.

    >>> neutral({"optimizer": "sgd", "sgd.momentum": 0.9, "dropout.on": True, "dropout": 0.2})
    {'optimizer': 'sgd', 'sgd.momentum': 0.9, 'dropout.on': False}
    """
    left = dict(values)
    for technique in TECHNIQUES:
        if neutral_value(technique) is not None and own_values(technique, left):
            left = without(technique, left)
    return left
