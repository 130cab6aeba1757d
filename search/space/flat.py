"""A conditional space laid flat: every parameter that some configuration has, as if all had it."""

from collections.abc import Iterator

from search.space.domains import Choice, Off, Range, Value
from search.space.parameters import PARAMETERS, is_active
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
        if not domain.is_single:
            flat[name] = domain
    return flat
