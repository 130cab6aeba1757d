"""Every configuration of a space counted, without making them: a parameter that is not active
multiplies nothing.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from search.space.domains import Choice, Domain, Off, Range, Value
from search.space.flat import reachable
from search.space.parameters import PARAMETERS, is_active, switched
from search.space.search_space import SearchSpace
from search.spec.space_table import FirstTrial

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class _Branch:
    """One way to hold a parameter: what it then holds, and the parameters that there are below
    it.
    """

    values: tuple[tuple[str, Value], ...]
    below: tuple["_Node", ...] = ()

    @cached_property
    def size(self) -> int:
        return math.prod(node.size for node in self.below)


@dataclass(frozen=True)
class _Node:
    """A parameter with the ways to hold it."""

    branches: tuple[_Branch, ...]

    @cached_property
    def size(self) -> int:
        return sum(branch.size for branch in self.branches)


class Enumeration:
    """The configurations of a space by index, switches included; ranges as `points` values, whole
    ones as all.

    >>> space = SearchSpace(
    ...     (("optimizer", Choice(("sgd", "adam"))), ("sgd.momentum", Choice((0.0, 0.5, 0.9))))
    ... )
    >>> every = Enumeration(space)
    >>> every.size, every.at(3)
    (4, {'optimizer': 'adam'})
    """

    def __init__(self, space: SearchSpace, points: int | None = None) -> None:
        domains = dict(reachable(space))
        roots = (name for name in domains if PARAMETERS[name].parent is None)
        self._root = _Branch((), tuple(_node(domains, name, points) for name in roots))
        self.size = self._root.size

    def at(self, index: int) -> dict[str, Value]:
        """The configuration with that index; neighbours differ in the last parameters."""
        values: dict[str, Value] = {}
        _fill(self._root, index, values)
        return values

    def index_of(self, values: Mapping[str, Value]) -> int | None:
        """The index of a configuration; `None` where it is none of them."""
        return _index(self._root, values)


def uncounted(space: SearchSpace, points: int | None) -> list[str]:
    """The ranges that some configuration has and that hold more values than can be counted."""
    return [
        name
        for name, domain in reachable(space)
        if isinstance(domain, Range) and points is None and not (domain.whole or domain.is_single)
    ]


def _node(domains: Mapping[str, Choice | Range], name: str, points: int | None) -> _Node:
    switch = PARAMETERS[name].switch
    children = [
        child
        for child in domains
        if (parent := PARAMETERS[child].parent) is not None and parent[0] == name
    ]
    on = ((switch, True),) if domains[name].optional else ()
    branches = [_Branch(((switch, False),))] if domains[name].optional else []
    for value in counted(name, domains[name], points):
        active = (child for child in children if is_active(PARAMETERS[child], {name: value}))
        below = tuple(_node(domains, child, points) for child in active)
        branches.append(_Branch((*on, (name, value)), below))
    return _Node(tuple(branches))


def counted(name: str, domain: Choice | Range, points: int | None) -> tuple[Value, ...]:
    """The values of a domain that are enumerated, but for off. Raises ValueError where they cannot
    be.
    """
    if isinstance(domain, Choice):
        return domain.options
    if domain.is_single or (points is None and domain.whole):
        every = range(int(domain.low), int(domain.high) + 1)
        return tuple(every) if domain.whole else (domain.low,)
    if points is None:
        raise ValueError(f"{name} holds more values than can be counted")
    between = [domain.at(step / (points - 1)) for step in range(1, points - 1)]
    ends = (int(domain.low), int(domain.high)) if domain.whole else (domain.low, domain.high)
    # Where there are few whole numbers, two points may be one.
    return tuple(dict.fromkeys((ends[0], *between, ends[1])))


def _fill(branch: _Branch, index: int, values: dict[str, Value]) -> None:
    values.update(branch.values)
    for node in reversed(branch.below):
        index, within = divmod(index, node.size)
        for each in node.branches:
            if within < each.size:
                _fill(each, within, values)
                break
            within -= each.size


def _index(branch: _Branch, values: Mapping[str, Value]) -> int | None:
    index = 0
    for node in branch.below:
        before = 0
        for each in node.branches:
            if all(name in values and values[name] == value for name, value in each.values):
                within = _index(each, values)
                break
            before += each.size
        else:
            return None
        if within is None:
            return None
        index = index * node.size + before + within
    return index


class Schedule:
    """Which configuration of an enumeration each trial takes: a function of the spec and the
    trial's number.

    Configurations to run first come first, completed where they leave something open, then all
    others, each once, in an order that covers the space evenly: index = (a * n + b) modulo the size
    with a near the golden ratio of it.
    """

    def __init__(
        self, space: SearchSpace, points: int | None, first_trials: Sequence[FirstTrial], seed: int
    ) -> None:
        self._all = Enumeration(space, points)
        self._factor = _coprime(round(self._all.size * GOLDEN), self._all.size)
        self._offset = random.Random(f"{seed}:enumeration").randrange(self._all.size)
        self._first = []
        for number, fixed in enumerate(first_trials):
            completions = Enumeration(_with_fixed(space, dict(fixed)), points)
            self._first.append(_with_switches(space, completions.at(number % completions.size)))
        indices = {self._all.index_of(values) for values in self._first}
        back = pow(self._factor, -1, self._all.size)
        self._passed_over = sorted(
            (index - self._offset) * back % self._all.size for index in indices if index is not None
        )

    @property
    def size(self) -> int:
        """How many trials there can be."""
        return len(self._first) + self._all.size - len(self._passed_over)

    def configuration(self, number: int) -> dict[str, Value]:
        """Of the trial with that number, switches included; beyond the size, from the start
        again.
        """
        if number < len(self._first):
            return self._first[number]
        place = number - len(self._first)
        for passed_over in self._passed_over:
            place += passed_over <= place
        return self._all.at((self._factor * place + self._offset) % self._all.size)


def _coprime(start: int, size: int) -> int:
    return next(
        number for number in range(max(1, start), start + size + 1) if math.gcd(number, size) == 1
    )


def _with_fixed(space: SearchSpace, fixed: Mapping[str, Value]) -> SearchSpace:
    domains: list[tuple[str, Domain]] = []
    for name, domain in space.domains:
        if name in fixed:
            domain = Off() if fixed[name] is False else Choice((fixed[name],))
        domains.append((name, domain))
    return SearchSpace(tuple(domains))


def _with_switches(space: SearchSpace, values: Mapping[str, Value]) -> dict[str, Value]:
    def given(name: str, domain: Choice | Range) -> Value:
        strength = switched(name)
        return values[name] if strength is None else strength.name in values

    return space.suggest(given)
