"""A conditional space laid flat: every parameter that some configuration has, as if all had it."""

import math
from collections.abc import Iterator

from search.space.domains import Choice, Off, Range, Value
from search.space.parameters import PARAMETERS, SWITCHES, is_active
from search.space.search_space import SearchSpace


def reachable(space: SearchSpace) -> Iterator[tuple[str, Choice | Range]]:
    """The parameters that some configuration has, with their domains: a parent before its
    children.
    """
    found: dict[str, tuple[Value, ...]] = {}
    for name, domain in space.domains:
        if isinstance(domain, Off):
            continue
        parameter = PARAMETERS[name]
        of_parent: tuple[Value, ...] = (
            () if parameter.parent is None else found.get(parameter.parent[0], ())
        )
        if parameter.parent is not None and not any(
            is_active(parameter, {parameter.parent[0]: value}) for value in of_parent
        ):
            continue
        found[name] = domain.options if isinstance(domain, Choice) else (domain.low, domain.high)
        yield name, domain


def flat_domains(space: SearchSpace) -> dict[str, Choice | Range]:
    """What there is to search: the reachable parameters with more than one value, and the switches
    of optional ones.
    """
    flat: dict[str, Choice | Range] = {}
    for name, domain in reachable(space):
        if domain.optional:
            flat[PARAMETERS[name].switch] = Choice((True, False))
        if len(domain.options) > 1 if isinstance(domain, Choice) else domain.low < domain.high:
            flat[name] = domain
    return flat


def is_whole(name: str) -> bool:
    """Whether the parameter holds whole numbers."""
    return name not in SWITCHES and PARAMETERS[name].kind == "int"


def value_at(name: str, domain: Choice | Range, share: float) -> Value:
    """The value at a share (0 to 1) of the domain, on its own scale: equal shares for each option
    and whole number.
    """
    if isinstance(domain, Choice):
        return domain.options[min(int(share * len(domain.options)), len(domain.options) - 1)]
    half = 0.5 if is_whole(name) else 0.0
    low, high = domain.low - half, domain.high + half
    value = low * (high / low) ** share if domain.log else low + (high - low) * share
    value = min(max(float(round(value)) if is_whole(name) else value, domain.low), domain.high)
    return int(value) if is_whole(name) else value


def share_of(name: str, domain: Range, value: float) -> float:
    """Where in its range a value lies, from 0 to 1 on its own scale: what `value_at` turns back."""
    half = 0.5 if is_whole(name) else 0.0
    low, high = domain.low - half, domain.high + half
    if domain.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def stand_in(name: str, domain: Choice | Range) -> Value:
    """What a configuration without the parameter is taken to hold: the middle of a range, the first
    option.
    """
    return domain.options[0] if isinstance(domain, Choice) else value_at(name, domain, 0.5)
