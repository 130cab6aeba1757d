"""Configurations that nobody draws: what a plan says, as Optuna is to hold it."""

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.algorithms.distributions import distribution
from search.algorithms.samplers import Drawn
from search.space.domains import Choice, Off, Range, Value
from search.space.parameters import switched
from search.space.search_space import SearchSpace


def planned_configuration(space: SearchSpace, values: Mapping[str, Value]) -> Drawn:
    """The values with the space's distributions, each wide enough to hold its value: a plan may ask
    for what the search did not look at.
    """
    return Drawn(
        dict(values),
        {name: _holding(space, name, value) for name, value in values.items()},
    )


def _holding(space: SearchSpace, name: str, value: Value) -> BaseDistribution:
    if switched(name) is not None:
        return CategoricalDistribution((True, False))
    domain = dict(space.domains).get(name, Off())
    if isinstance(domain, Off):
        return distribution(_only(value))
    known = distribution(domain)
    match known:
        case CategoricalDistribution() if value not in known.choices:
            return CategoricalDistribution((*known.choices, value))
        case FloatDistribution() if not known.low <= float(value) <= known.high:
            low, high = min(known.low, float(value)), max(known.high, float(value))
            return FloatDistribution(low, high, log=known.log)
        case IntDistribution() if not known.low <= int(value) <= known.high:
            low, high = min(known.low, int(value)), max(known.high, int(value))
            return IntDistribution(low, high, log=known.log)
    return known


def _only(value: Value) -> Choice | Range:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number:
        return Choice((value,))
    return Range(float(value), float(value), whole=isinstance(value, int))
